package server_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const observability = "../../deploy/observability/"

// alertRules is the part of a file of rules, or of a file of their cases, that is checked.
type alertRules struct {
	Groups []struct {
		Rules []struct{ Record, Alert, Expr string }
	}
	Tests []struct {
		AlertRuleTest []struct {
			AlertName string           `yaml:"alertname"`
			ExpAlerts []map[string]any `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
	}
}

func readRules(t *testing.T, name string) (rules alertRules) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(readFile(t, observability+name)), &rules); err != nil {
		t.Fatal(err)
	}
	return rules
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestAlertsAndDashboard shows that the alerts and the dashboard use no metric, label or value of a label that is not in
// the golden file.
func TestAlertsAndDashboard(t *testing.T) {
	known := goldenFamilies(t)
	rules := readRules(t, "alerts.yaml")
	alerts := map[string]bool{}
	// Prometheus makes this series of the alerts.
	known["ALERTS"] = family{"gauge", map[string]map[string]bool{"alertname": alerts, "alertstate": {"firing": true}}}
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			if rule.Record != "" {
				known[rule.Record] = family{kind: "gauge"}
			} else {
				alerts[rule.Alert] = true
			}
		}
	}
	checked := 0
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			checked++
			for _, problem := range unknownIn(known, rule.Expr, "") {
				t.Errorf("alerts.yaml, %s%s: %s", rule.Record, rule.Alert, problem)
			}
		}
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal([]byte(readFile(t, observability+"dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			checked++
			for _, problem := range unknownIn(known, target.Expr, target.LegendFormat) {
				t.Errorf("dashboard.json, %s: %s", panel.Title, problem)
			}
		}
	}
	if checked < 40 {
		t.Errorf("only %d expressions", checked)
	}
}

// TestAlertsAreTested shows that each alert has a case in which it fires, which `make test-alerts` runs, and a line in
// the runbook.
func TestAlertsAreTested(t *testing.T) {
	var fires []string
	for _, test := range readRules(t, "alerts_test.yaml").Tests {
		for _, at := range test.AlertRuleTest {
			if len(at.ExpAlerts) > 0 {
				fires = append(fires, at.AlertName)
			}
		}
	}
	runbook := readFile(t, "../../docs/reliability.md")
	alerts := 0
	for _, group := range readRules(t, "alerts.yaml").Groups {
		for _, rule := range group.Rules {
			if rule.Alert == "" {
				continue
			}
			alerts++
			if !slices.Contains(fires, rule.Alert) {
				t.Errorf("%s fires in no case", rule.Alert)
			}
			if !strings.Contains(runbook, "\n| `"+rule.Alert+"` |") {
				t.Errorf("%s is not in the runbook", rule.Alert)
			}
		}
	}
	if alerts < 5 {
		t.Errorf("only %d alerts", alerts)
	}
}

// goldenFamilies are the metrics of the golden file.
func goldenFamilies(t *testing.T) map[string]family {
	t.Helper()
	known := map[string]family{}
	for line := range strings.Lines(readFile(t, metricsGolden)) {
		fields := strings.Fields(line)
		f := family{fields[1], map[string]map[string]bool{}}
		for _, field := range fields[2:] {
			label, values, _ := strings.Cut(field, "=")
			f.labels[label] = map[string]bool{}
			for value := range strings.SplitSeq(values, "|") {
				f.labels[label][value] = true
			}
		}
		known[fields[0]] = f
		if f.kind == "histogram" {
			known[fields[0]+"_bucket"], known[fields[0]+"_count"], known[fields[0]+"_sum"] = f, f, f
		}
	}
	return known
}

var (
	withMatchers    = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}`)
	matcherPattern  = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)"([^"]*)"`)
	grouping        = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right) ?\(([^)]*)\)`)
	rangeOrFunction = regexp.MustCompile(`\[[^\]]*\]|[a-z_]+ *\(|\b(?:and|or|unless)\b`)
	metricName      = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
	legendLabel     = regexp.MustCompile(`\{\{([a-z_]+)\}\}`)
)

// unknownIn returns what of an expression in PromQL, and of the legend of its results, is not known.
func unknownIn(known map[string]family, expression, legend string) (problems []string) {
	// The labels of the target, which Prometheus adds.
	labels := map[string]bool{"namespace": true, "job": true, "instance": true}
	use := func(name, matchers string) {
		f, ok := known[name]
		if !ok {
			problems = append(problems, "no metric "+name)
		}
		for label := range f.labels {
			labels[label] = true
		}
		for _, matcher := range matcherPattern.FindAllStringSubmatch(matchers, -1) {
			label, values := matcher[1], matcher[2]
			if label == "namespace" || label == "job" || label == "instance" {
				continue
			}
			for value := range strings.SplitSeq(values, "|") {
				if !f.labels[label][value] {
					problems = append(problems, fmt.Sprintf("%s has no %s=%q", name, label, value))
				}
			}
		}
	}
	for _, selector := range withMatchers.FindAllStringSubmatch(expression, -1) {
		use(selector[1], selector[2])
	}
	rest := withMatchers.ReplaceAllString(expression, "")
	groups := grouping.FindAllStringSubmatch(rest, -1)
	rest = rangeOrFunction.ReplaceAllString(grouping.ReplaceAllString(rest, ""), "")
	for _, name := range metricName.FindAllString(rest, -1) {
		use(name, "")
	}
	for _, group := range groups {
		for label := range strings.SplitSeq(group[1], ",") {
			if label = strings.TrimSpace(label); !labels[label] {
				problems = append(problems, "no label "+label)
			}
		}
	}
	for _, label := range legendLabel.FindAllStringSubmatch(legend, -1) {
		if !labels[label[1]] {
			problems = append(problems, "no label "+label[1]+" for the legend")
		}
	}
	return problems
}

// TestUnknownMetrics shows that TestAlertsAndDashboard finds what is not in the golden file.
func TestUnknownMetrics(t *testing.T) {
	known := goldenFamilies(t)
	for name, test := range map[string]struct {
		expression, legend, want string
	}{
		"known":             {`sum by (limit, job) (rate(client_session_service_refused_total{limit=~"caller|streams"}[5m])) > 0 or go_goroutines`, "{{limit}}", ""},
		"bucket":            {`histogram_quantile(0.9, sum by (le) (rate(grpc_server_handling_seconds_bucket[5m])))`, "", ""},
		"metric":            {`rate(client_session_service_nothing_total[5m])`, "", "no metric client_session_service_nothing_total"},
		"metric by name":    {`time() - client_session_service_nothing`, "", "no metric client_session_service_nothing"},
		"label":             {`client_session_service_refused_total{reason="caller"}`, "", `client_session_service_refused_total has no reason="caller"`},
		"value":             {`client_session_service_refused_total{limit=~"caller|none"}`, "", `client_session_service_refused_total has no limit="none"`},
		"label of grouping": {`sum by (face) (client_session_service_refused_total)`, "", "no label face"},
		"label of legend":   {`client_session_service_refused_total`, "{{face}}", "no label face for the legend"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(unknownIn(known, test.expression, test.legend), ", "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

//go:build soak

package soak_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/clientsession/client-session-service/service/servicetest"
)

const (
	observability = "../../deploy/observability/"
	// interval is how often Prometheus scrapes and evaluates the rules, as operators commonly have it.
	interval = "15s"
)

// firing is an alert that fires, and the service that it names.
type firing struct{ alert, namespace, job string }

// prometheus is a process of Prometheus.
type prometheus struct{ url string }

// startPrometheus starts Prometheus, with the alert rules, for these services.
func startPrometheus(t *testing.T, services []*monitored) *prometheus {
	t.Helper()
	rules, err := filepath.Abs(observability + "alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	binary, err := exec.Command("sh", observability+"prometheus.sh", "prometheus").Output()
	if err != nil {
		t.Fatalf("no Prometheus: %v", err)
	}
	type object = map[string]any
	var targets []object
	for _, s := range services {
		labels := object{"namespace": s.namespace, "job": s.job}
		targets = append(targets, object{"targets": []string{s.service.Admin}, "labels": labels})
	}
	config, err := yaml.Marshal(object{
		"global":         object{"scrape_interval": interval, "evaluation_interval": interval},
		"rule_files":     []string{rules},
		"scrape_configs": []object{{"job_name": "services", "static_configs": targets}},
	})
	if err != nil {
		t.Fatal(err)
	}
	folder, address := t.TempDir(), "127.0.0.1:"+freePort(t)
	file := filepath.Join(folder, "prometheus.yml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	servicetest.Start(t, exec.Command(strings.TrimSpace(string(binary)), "--config.file", file,
		"--storage.tsdb.path", filepath.Join(folder, "data"), "--web.listen-address", address)).
		AwaitLog("Server is ready to receive web requests")
	return &prometheus{"http://" + address}
}

// firing returns the alerts that fire now.
func (p *prometheus) firing(t *testing.T) (all []firing) {
	t.Helper()
	response, err := http.Get(p.url + "/api/v1/alerts")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var got struct {
		Data struct {
			Alerts []struct {
				State  string
				Labels struct{ AlertName, Namespace, Job string }
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	for _, a := range got.Data.Alerts {
		if a.State == "firing" {
			all = append(all, firing{a.Labels.AlertName, a.Labels.Namespace, a.Labels.Job})
		}
	}
	return all
}

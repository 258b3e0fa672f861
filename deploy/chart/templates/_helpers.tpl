{{/* In a parent chart the name of the chart is its alias, which may be no name for an object. */}}
{{- define "client-session-service.name" -}}
{{- .Values.nameOverride | default .Chart.Name | lower | replace "_" "-" | trunc 58 | trimSuffix "-" -}}
{{- end -}}

{{/* A Service's name may have no dot, and a release's may. The length leaves room for a suffix within the 63 characters of a
DNS label. The hash keeps long names apart, and the
release's name alone is not enough in a parent chart, which may have this chart twice. */}}
{{- define "client-session-service.fullname" -}}
{{- $name := include "client-session-service.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if and .Chart.IsRoot (contains $name .Release.Name) -}}
{{- $name = .Release.Name -}}
{{- else -}}
{{- $name = printf "%s-%s" .Release.Name $name -}}
{{- end -}}
{{- $name = replace "." "-" $name -}}
{{- if gt (len $name) 54 -}}
{{- $name = printf "%s-%s" (trunc 45 $name) (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* All names of both Services, as JSON. */}}
{{- define "client-session-service.serviceNames" -}}
{{- $names := list -}}
{{- range $service := list "" "-headless" -}}
{{- range $domain := list "" (print "." $.Release.Namespace) ".svc" (print "." $.Values.clusterDomain) -}}
{{- $service = print $service $domain -}}
{{- $names = append $names (print (include "client-session-service.fullname" $) $service) -}}
{{- end -}}
{{- end -}}
{{- toJson $names -}}
{{- end -}}

{{- define "client-session-service.selectorLabels" -}}
app.kubernetes.io/name: {{ include "client-session-service.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The metadata of an object, from the chart, the suffix of its name, and a value with more of it. In another namespace
the name has the release's, since releases of several namespaces may share that one. */}}
{{- define "client-session-service.metadata" -}}
{{- $ := index . 0 -}}
{{- $of := index . 2 -}}
{{- $name := $of.name | default (print (include "client-session-service.fullname" $) (index . 1)) -}}
{{- with $of.namespace -}}
namespace: {{ . | quote }}
{{ $name = printf "%s.%s" $.Release.Namespace $name -}}
{{- end -}}
name: {{ $name | quote }}
labels:
  helm.sh/chart: {{ printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" | trunc 63 }}
  {{- include "client-session-service.selectorLabels" $ | nindent 2 }}
  app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ $.Release.Service }}
  {{- with merge (dict) ($of.labels | default dict) ($.Values.commonLabels | default dict) }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $of.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "client-session-service.podSecurityContext" -}}
{{- $platform := omit .Values.podSecurityContext "runAsUser" "runAsGroup" "fsGroup" -}}
{{- .Values.openshift | ternary $platform .Values.podSecurityContext | toYaml -}}
{{- end -}}

{{/* The replicas of the live Deployment, as long as Helm owns them. Without them the API server would set 1. Helm's
server-side apply leaves them out once a HorizontalPodAutoscaler owns them, since its next change would be a conflict.
Without server-side apply, to leave them out is to set 1. */}}
{{- define "client-session-service.liveReplicas" -}}
{{- $live := lookup "apps/v1" "Deployment" .Release.Namespace (include "client-session-service.fullname" .) -}}
{{- $scaled := false -}}
{{- $applied := false -}}
{{- range dig "metadata" "managedFields" list $live -}}
{{- $scaled = or $scaled (eq (get . "subresource") "scale") -}}
{{- $applied = or $applied (eq .operation "Apply") -}}
{{- end -}}
{{- if not (and $scaled $applied) -}}
{{- dig "spec" "replicas" "" $live -}}
{{- end -}}
{{- end -}}

{{- define "client-session-service.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "client-session-service.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "client-session-service.image" -}}
{{- $repository := required "image.repository: is required: set it to where the image was pushed to" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The drain, preStop.sleep before it, and 5 seconds for the process to end. Durations are Go's, which dateModify parses. */}}
{{- define "client-session-service.terminationGracePeriodSeconds" -}}
{{- $start := toDate "2006-01-02" "2000-01-01" -}}
{{- $end := $start | mustDateModify (get .Values.config "drain-delay") | mustDateModify (get .Values.config "drain-timeout") -}}
{{- $sleep := dig "preStop" "sleep" "seconds" 0 (.Values.lifecycle | default dict) -}}
{{- sub (unixEpoch $end) (unixEpoch $start) | add 5 $sleep -}}
{{- end -}}

{{/* 90 % of the memory limit in bytes, empty where there is none or extraEnv has another. */}}
{{- define "client-session-service.goMemLimit" -}}
{{- $limit := dig "limits" "memory" "" .Values.resources | toJson | trimAll "\"" -}}
{{- range .Values.extraEnv -}}
{{- if eq .name "GOMEMLIMIT" -}}{{- $limit = "" -}}{{- end -}}
{{- end -}}
{{- if $limit -}}
{{- $number := regexFind "^[0-9.]+" $limit -}}
{{- $factors := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- mulf $number (get $factors (trimPrefix $number $limit)) 0.9 | int64 -}}
{{- end -}}
{{- end -}}

{{/* What the schema cannot say in words that name the mend. */}}
{{- define "client-session-service.check" -}}
{{- $callers := list -}}
{{- range $name := list "list" "configMapName" "secretName" -}}
{{- if get $.Values.callers $name -}}{{- $callers = append $callers (printf "callers.%s" $name) -}}{{- end -}}
{{- end -}}
{{- range $path := list "commonLabels" "podLabels" "serviceMonitor.labels" "prometheusRule.labels" -}}
{{- $labels := $.Values -}}
{{- range splitList "." $path -}}{{- $labels = get $labels . | default dict -}}{{- end -}}
{{- range list "helm.sh/chart" "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" -}}
{{- if hasKey $labels . -}}
{{- fail (printf "%s: the label %s is the chart's own: leave it out" $path .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values -}}
{{- if gt (len $callers) 1 -}}
{{- fail (printf "%s: set only one of them" (join " and " $callers)) -}}
{{- end -}}
{{- if and $callers (not .serviceCredential.secretName) -}}
{{- fail (printf "%s: needs a service credential: set serviceCredential.secretName too" (first $callers)) -}}
{{- end -}}
{{- if and .serviceCredential.secretName (not $callers) (not (get .config "allow-anonymous")) -}}
{{- fail "serviceCredential.secretName: any client could use the credential: set callers.list, callers.configMapName or callers.secretName, or config.allow-anonymous" -}}
{{- end -}}
{{- if and .serviceCredential.workspaceId (not .serviceCredential.secretName) -}}
{{- fail "serviceCredential.workspaceId: needs a personal access token: set serviceCredential.secretName too" -}}
{{- end -}}
{{- if and .tls.clientCASecretName (not .tls.secretName) -}}
{{- fail "tls.clientCASecretName: needs TLS: set tls.secretName too" -}}
{{- end -}}
{{- if and .tls.certificate (not .tls.secretName) -}}
{{- fail "tls.certificate: needs a Secret to write: set tls.secretName too" -}}
{{- end -}}
{{- if and .prometheusRule.enabled (not .serviceMonitor.enabled) -}}
{{- fail "prometheusRule.enabled: the rules are for the job of the ServiceMonitor: set serviceMonitor.enabled too" -}}
{{- end -}}
{{- range $name, $needs := dict "ingress" "hosts" "grpcIngress" "hosts" "httpRoute" "parentRefs" "grpcRoute" "parentRefs" -}}
{{- if and (get $.Values $name).enabled (not (get (get $.Values $name) $needs)) -}}
{{- fail (printf "%s.enabled: goes nowhere: set %s.%s too" $name $name $needs) -}}
{{- end -}}
{{- end -}}
{{- if .autoscaling.enabled -}}
{{- if not (or .autoscaling.cpuUtilization .autoscaling.memoryUtilization .autoscaling.inFlightCalls) -}}
{{- fail "autoscaling.enabled: needs a metric: set autoscaling.cpuUtilization, memoryUtilization or inFlightCalls above 0" -}}
{{- end -}}
{{- range $of := list "cpu" "memory" -}}
{{- $name := print $of "Utilization" -}}
{{- if and (get $.Values.autoscaling $name) (not (dig "requests" $of "" $.Values.resources)) -}}
{{- fail (printf "autoscaling.%s: is a share of the request: set resources.requests.%s, or %s to 0" $name $of $name) -}}
{{- end -}}
{{- end -}}
{{- if gt (int .autoscaling.minReplicas) (int .autoscaling.maxReplicas) -}}
{{- fail (printf "autoscaling.minReplicas: %v is more than maxReplicas, %v" .autoscaling.minReplicas .autoscaling.maxReplicas) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

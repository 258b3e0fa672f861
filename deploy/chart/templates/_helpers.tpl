{{/* The length leaves room for a suffix within the 63 characters of a DNS label. */}}
{{- define "client-session-service.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 54 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 54 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 54 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "client-session-service.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "client-session-service.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{ include "client-session-service.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
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

{{/* The drain, and 5 seconds for the process to end. Durations are Go's, which dateModify parses. */}}
{{- define "client-session-service.terminationGracePeriodSeconds" -}}
{{- $start := toDate "2006-01-02" "2000-01-01" -}}
{{- $end := $start | mustDateModify (get .Values.config "drain-delay") | mustDateModify (get .Values.config "drain-timeout") -}}
{{- sub (unixEpoch $end) (unixEpoch $start) | add 5 -}}
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
{{- if .autoscaling.enabled -}}
{{- if not (or .autoscaling.cpuUtilization .autoscaling.inFlightCalls) -}}
{{- fail "autoscaling.enabled: needs a metric: set autoscaling.cpuUtilization or autoscaling.inFlightCalls above 0" -}}
{{- end -}}
{{- if and .autoscaling.cpuUtilization (not (dig "requests" "cpu" "" .resources)) -}}
{{- fail "autoscaling.cpuUtilization: is a share of the request: set resources.requests.cpu, or cpuUtilization to 0" -}}
{{- end -}}
{{- if gt (int .autoscaling.minReplicas) (int .autoscaling.maxReplicas) -}}
{{- fail (printf "autoscaling.minReplicas: %v is more than maxReplicas, %v" .autoscaling.minReplicas .autoscaling.maxReplicas) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

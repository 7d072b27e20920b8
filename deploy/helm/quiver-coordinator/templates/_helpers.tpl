{{- define "coordinator.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "coordinator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "coordinator.labels" -}}
{{ include "coordinator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "coordinator.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "coordinator.name" .) -}}
{{- end -}}

{{- define "coordinator.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* Of both Deployments: who the pod is, and what it may do. */}}
{{- define "coordinator.podSpec" -}}
serviceAccountName: {{ include "coordinator.serviceAccount" . }}
automountServiceAccountToken: false
{{/* A service that is called coordinator would bring variables that look like settings. */}}
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  seccompProfile:
    type: RuntimeDefault
{{/* The program stops in order within 9.5 s. */}}
terminationGracePeriodSeconds: 15
{{- end -}}

{{- define "coordinator.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "coordinator.env" -}}
- name: COORDINATOR_CLUSTER
  value: {{ .Values.cluster | quote }}
- name: COORDINATOR_DATA_DIR
  value: /var/lib/quiver-coordinator
- name: COORDINATOR_SHARD_KEY_FILE
  value: /etc/quiver-coordinator/shard-keys/keys
{{- with .Values.secrets.hooksKey }}
- name: COORDINATOR_HOOKS_KEY
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: key
{{- end }}
{{- with .Values.secrets.otlpHeaders }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: headers
{{- end }}
{{- with .Values.shards }}
- name: QUIVER_CLUSTER_SHARDS
  value: {{ printf "[%s]" (join "," .) | quote }}
{{- end }}
{{- if .Values.secrets.configSecret }}
- name: QUIVER_CONFIG
  value: /etc/quiver-coordinator/config/quiver.toml
{{- end }}
- name: TEMPORAL_ADDRESS
  value: {{ .Values.temporal.address | quote }}
- name: TEMPORAL_NAMESPACE
  value: {{ .Values.temporal.namespace | quote }}
{{- with .Values.temporal.apiKeySecret }}
- name: TEMPORAL_API_KEY
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: apiKey
{{- end }}
{{- with .Values.temporal.tls }}
{{- if .enabled }}
- name: TEMPORAL_TLS
  value: 'true'
{{- if .serverName }}
- name: TEMPORAL_TLS_SERVER_NAME
  value: {{ .serverName | quote }}
{{- end }}
{{- if .secret }}
- name: TEMPORAL_TLS_SERVER_CA_CERT_PATH
  value: /etc/quiver-coordinator/temporal-tls/ca.crt
- name: TEMPORAL_TLS_CLIENT_CERT_PATH
  value: /etc/quiver-coordinator/temporal-tls/tls.crt
- name: TEMPORAL_TLS_CLIENT_KEY_PATH
  value: /etc/quiver-coordinator/temporal-tls/tls.key
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  {{- /* Helm's own text of a large number has an exponent. */}}
  value: {{ kindIs "float64" $value | ternary (printf "%.0f" (float64 $value)) (toString $value) | quote }}
{{- end }}
{{- end -}}

{{/* Secrets are folders, not subPaths: only a folder shows a secret that was replaced. */}}
{{- define "coordinator.mounts" -}}
- name: shard-keys
  mountPath: /etc/quiver-coordinator/shard-keys
  readOnly: true
{{- if .Values.secrets.configSecret }}
- name: config
  mountPath: /etc/quiver-coordinator/config
  readOnly: true
{{- end }}
{{- if and .Values.temporal.tls.enabled .Values.temporal.tls.secret }}
- name: temporal-tls
  mountPath: /etc/quiver-coordinator/temporal-tls
  readOnly: true
{{- end }}
{{- end -}}

{{- define "coordinator.volumes" -}}
- name: shard-keys
  secret:
    secretName: {{ .Values.secrets.shardKeys }}
    defaultMode: 0440
{{- with .Values.secrets.configSecret }}
- name: config
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- if and .Values.temporal.tls.enabled .Values.temporal.tls.secret }}
- name: temporal-tls
  secret:
    secretName: {{ .Values.temporal.tls.secret }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{/* Not empty: the page of metrics of a worker asks for a key of the API. */}}
{{- define "coordinator.workerAsksForKey" -}}
{{- if and ((.Values.worker).metrics).enabled (ne (toString (index (.Values.settings | default dict) "COORDINATOR_METRICS_OPEN")) "true") -}}
true
{{- end -}}
{{- end -}}

{{/* Two pods of a kind on one node only where there is no other one. */}}
{{- define "coordinator.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "coordinator.selector" .root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

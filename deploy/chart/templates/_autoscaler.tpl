{{/*
What scales a Deployment on what waits: a HorizontalPodAutoscaler, or KEDA's ScaledObject, which makes one.

(dict "root" $ "component" "triton" "metrics" (list (dict "name" … "target" … "series" …)) "cpu" 70). Each metric is a sum over
the whole release: as many pods are wanted as its target goes into it. The largest number counts; a metric that can't be
had takes nothing away. A target of 0 leaves its metric out.
*/}}
{{- define "ru-emotions.autoscaler" -}}
{{- $name := printf "%s-%s" (include "ru-emotions.name" .root) .component -}}
{{- $scale := (index .root.Values .component).autoscaling -}}
{{- $labels := printf "namespace=%q,app_kubernetes_io_instance=%q" .root.Release.Namespace .root.Release.Name -}}
{{- if eq .root.Values.autoscaling.with "keda" -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ $name }}
  labels: {{- include "ru-emotions.labels" . | nindent 4 }}
spec:
  scaleTargetRef:
    name: {{ $name }}
  # Never 0: with nobody there nothing waits, and nothing would wake them.
  minReplicaCount: {{ $scale.minReplicas }}
  maxReplicaCount: {{ $scale.maxReplicas }}
  pollingInterval: 15
  {{- $asked := list }}
  {{- range .metrics }}
  {{- if .target }}
  {{- $asked = append $asked .name }}
  {{- end }}
  {{- end }}
  {{- /* KEDA refuses one where there is the CPU alone. */}}
  {{- if $asked }}
  # Prometheus is away: what is there stays, or becomes what runs without autoscaling.
  fallback:
    failureThreshold: 4
    replicas: {{ max (int $scale.minReplicas) (min (int (index .root.Values .component).replicas) (int $scale.maxReplicas)) }}
    behavior: currentReplicasIfHigher
  {{- end }}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior: {{- include "ru-emotions.scaleBehavior" $scale | nindent 8 }}
  triggers:
    {{- range .metrics }}
    {{- if .target }}
    - type: prometheus
      metricType: AverageValue
      metadata:
        serverAddress: {{ $.root.Values.autoscaling.prometheusAddress | quote }}
        query: {{ printf "sum(%s)" (printf .series $labels) | quote }}
        threshold: {{ .target | quote }}
        # Nothing refused is no series, and no failure.
        ignoreNullValues: "true"
    {{- end }}
    {{- end }}
    {{- with .cpu }}
    - type: cpu
      metricType: Utilization
      metadata:
        value: {{ . | quote }}
    {{- end }}
{{- else -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ $name }}
  labels: {{- include "ru-emotions.labels" . | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ $name }}
  minReplicas: {{ $scale.minReplicas }}
  maxReplicas: {{ $scale.maxReplicas }}
  metrics:
    {{- range .metrics }}
    {{- if .target }}
    - type: External
      external:
        metric:
          name: {{ .name }}
          selector:
            matchLabels:
              app_kubernetes_io_instance: {{ $.root.Release.Name | quote }}
        target:
          type: AverageValue
          averageValue: {{ .target | quote }}
    {{- end }}
    {{- end }}
    {{- with .cpu }}
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ . }}
    {{- end }}
  behavior: {{- include "ru-emotions.scaleBehavior" $scale | nindent 4 }}
{{- end }}
{{- end -}}

{{/*
Whether others than the gateways may ask Triton, so that requests wait there which no gateway knows of. Where nobody may, that
metric is left out: it would add nothing, and one that can't be had holds up every scaling down. Takes the root context.
*/}}
{{- define "ru-emotions.others" -}}
{{- if or .Values.networkPolicy.tritonFrom (not .Values.networkPolicy.enabled) -}}true{{- end -}}
{{- end -}}

{{/* Takes the component's `autoscaling`. */}}
{{- define "ru-emotions.scaleBehavior" -}}
# At once, and twice as many every half a minute: what waits is waiting now. A new pod needs that long to load its models.
scaleUp:
  stabilizationWindowSeconds: 0
  selectPolicy: Max
  policies:
    - type: Percent
      value: 100
      periodSeconds: 30
    - type: Pods
      value: 2
      periodSeconds: 30
# Slowly: half of them a minute, once less has been enough for so long.
scaleDown:
  stabilizationWindowSeconds: {{ .scaleDownAfter }}
  policies:
    - type: Percent
      value: 50
      periodSeconds: 60
{{- end -}}

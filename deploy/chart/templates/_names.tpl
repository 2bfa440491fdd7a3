{{/* Names and labels. All take the root context but those that say otherwise. */}}

{{- define "ru-emotions.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- /* A Service's name begins with a letter, has no dot, and 63 characters at most, "-gateway" included; a release's need not. */}}
{{- $name := replace "." "-" $full -}}
{{- if regexMatch "^[0-9]" $name -}}
{{- $name = printf "emotions-%s" $name -}}
{{- end -}}
{{- if and (eq $name $full) (le (len $name) 50) -}}
{{- $name -}}
{{- else -}}
{{- /* So that two releases that are alike in what remains don't take each other's names. */}}
{{- printf "%s-%s" ($name | trunc 43 | trimSuffix "-") (sha256sum $full | trunc 6) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "component" "gateway"): what finds the pods; never changes, as a Deployment's selector can't. */}}
{{- define "ru-emotions.selector" -}}
app.kubernetes.io/name: ru-emotions
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* (dict "root" $ "component" "gateway") */}}
{{- define "ru-emotions.labels" -}}
{{ include "ru-emotions.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "ru-emotions.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "ru-emotions.name" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "image" .Values.gateway.image): a digest goes before a tag. */}}
{{- define "ru-emotions.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* What every container may do: nothing but run. Takes whether its root is read-only. */}}
{{- define "ru-emotions.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: {{ . }}
capabilities:
  drop: [ALL]
{{- end -}}

{{/* (dict "root" $ "component" "gateway" "values" .Values.gateway "user" 10001): of the pods of both. */}}
{{- define "ru-emotions.pod" -}}
serviceAccountName: {{ include "ru-emotions.serviceAccount" .root | quote }}
# Neither of them asks Kubernetes anything.
automountServiceAccountToken: false
# Variables of Services, such as GATEWAY_PORT=tcp://…, are read by nobody, and some are taken for settings.
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .user }}
  # So that the files of a Secret and of a volume can be read.
  fsGroup: {{ .user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
# Preferred, not required: with fewer nodes than replicas they all run all the same.
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "ru-emotions.selector" $ | nindent 8 }}
    # Each version of the pods by itself: those that go don't push those that come to one node.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* (dict "root" $ "component" "gateway"): those that are given go before the chart's own. */}}
{{- define "ru-emotions.podAnnotations" -}}
{{- $own := dict "kubectl.kubernetes.io/default-container" .component -}}
{{- with .root.Values.models.revision -}}
{{- $_ := set $own "ru-emotions/models-revision" (kindIs "string" . | ternary . (toJson .)) -}}
{{- end -}}
{{- merge (dict) ((index .root.Values .component).annotations | default dict) $own | toYaml -}}
{{- end -}}

{{/* (dict "values" .Values.gateway): how new pods take the place of old ones. */}}
{{- define "ru-emotions.rollout" -}}
revisionHistoryLimit: 5
{{- if not .values.autoscaling.enabled }}
replicas: {{ .values.replicas }}
{{- end }}
strategy:
  type: RollingUpdate
  rollingUpdate:
    # None goes before another one is there.
    maxSurge: {{ .values.rollingUpdate.maxSurge }}
    maxUnavailable: {{ .values.rollingUpdate.maxUnavailable }}
{{- end -}}

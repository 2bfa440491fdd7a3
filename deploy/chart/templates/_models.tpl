{{/* The model repository in its three places. All take the root context. */}}

{{/* As tritonserver's --model-repository has it. */}}
{{- define "ru-emotions.repository" -}}
{{- if eq .Values.models.source "s3" -}}
{{- $s3 := .Values.models.s3 -}}
{{- $url := urlParse $s3.endpoint -}}
{{- printf "s3://%s://%s:%s/%s" $url.scheme $url.hostname (include "ru-emotions.port" $s3.endpoint) (list $s3.bucket $s3.prefix | compact | join "/") -}}
{{- else -}}
/models
{{- end -}}
{{- end -}}

{{/* Takes a URL: its port, or that of its scheme. */}}
{{- define "ru-emotions.port" -}}
{{- $url := urlParse . -}}
{{- $named := trimPrefix ":" (trimPrefix $url.hostname $url.host) -}}
{{- $named | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{- end -}}

{{/* The volume of both pods; with s3 the gateway has its own, and Triton none. */}}
{{- define "ru-emotions.modelVolume" -}}
{{- $models := .Values.models -}}
{{- if eq $models.source "image" -}}
- name: models
  image:
    reference: {{ printf "%s@%s" $models.image.repository $models.image.digest }}
    pullPolicy: {{ $models.image.pullPolicy }}
{{- else if eq $models.source "pvc" -}}
- name: models
  persistentVolumeClaim:
    claimName: {{ $models.pvc.claim }}
    readOnly: true
{{- end -}}
{{- end -}}

{{/* Whether Triton looks for new versions by itself. */}}
{{- define "ru-emotions.polls" -}}
{{- if and (eq .Values.models.source "pvc") (eq .Values.models.pvc.update "poll") -}}true{{- end -}}
{{- end -}}

{{- define "ru-emotions.s3Variables" -}}
- name: AWS_DEFAULT_REGION
  value: {{ .Values.models.s3.region | quote }}
{{- with .Values.models.s3.existingSecret }}
{{- range $name := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $.Values.models.s3.existingSecret }}
      key: {{ $name }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The model repository in its three places. All take the root context. */}}

{{/* Its directory in both containers. */}}
{{- define "ru-emotions.modelDirectory" -}}
{{- ternary "/repository/models" "/models" (eq .Values.models.source "s3") -}}
{{- end -}}

{{/* Whether Triton reads the bucket itself. */}}
{{- define "ru-emotions.direct" -}}
{{- if and (eq .Values.models.source "s3") .Values.models.s3.direct -}}true{{- end -}}
{{- end -}}

{{/* The bucket, as tritonserver and `fetch` take it. */}}
{{- define "ru-emotions.bucket" -}}
{{- $s3 := .Values.models.s3 -}}
{{- $url := urlParse $s3.endpoint -}}
{{- printf "s3://%s://%s:%s/%s" $url.scheme $url.hostname (include "ru-emotions.port" $s3.endpoint) (list $s3.bucket $s3.prefix | compact | join "/") -}}
{{- end -}}

{{/* Takes a URL: its port, or that of its scheme. */}}
{{- define "ru-emotions.port" -}}
{{- $url := urlParse . -}}
{{- $named := trimPrefix ":" (trimPrefix $url.hostname $url.host) -}}
{{- $named | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{- end -}}

{{- define "ru-emotions.modelVolume" -}}
{{- $models := .Values.models -}}
- name: models
{{- if eq $models.source "image" }}
  image:
    reference: {{ printf "%s@%s" $models.image.repository $models.image.digest }}
    pullPolicy: {{ $models.image.pullPolicy }}
{{- else if eq $models.source "pvc" }}
  persistentVolumeClaim:
    claimName: {{ $models.pvc.claim | quote }}
    readOnly: true
{{- else }}
  emptyDir:
    sizeLimit: {{ $models.s3.size }}
# Of its own: Triton empties its /tmp when it starts.
- name: fetch-tmp
  emptyDir:
    sizeLimit: 64Mi
{{- end }}
{{- end -}}

{{- define "ru-emotions.modelMount" -}}
- name: models
  # A copy that is fetched has new versions made beside it.
  mountPath: {{ ternary "/repository" "/models" (eq .Values.models.source "s3") }}
  readOnly: true
{{- end -}}

{{/*
Containers that fetch the bucket's repository: one that must be done before anything starts, and one that goes on. Both put
in place only whole versions whose checksums are right; a bucket that is away or empty changes nothing.
*/}}
{{- define "ru-emotions.fetchers" -}}
{{- $s3 := .Values.models.s3 -}}
{{- range $name, $flags := dict "fetch-models" (list (printf "--patience=%v" .Values.triton.startSeconds)) "follow-models" (list (printf "--every=%v" $s3.every)) }}
- name: {{ $name }}
  image: {{ include "ru-emotions.image" (dict "root" $ "image" $s3.fetch.image) }}
  imagePullPolicy: {{ $s3.fetch.image.pullPolicy }}
  {{- if eq $name "follow-models" }}
  # A sidecar: it runs as long as the pod.
  restartPolicy: Always
  {{- end }}
  args: {{ concat (list "fetch" (include "ru-emotions.bucket" $) "/repository/models") $flags | toJson }}
  env:
    {{- include "ru-emotions.s3Variables" $ | nindent 4 }}
    {{- with $s3.fetch.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  resources: {{- toYaml $s3.fetch.resources | nindent 4 }}
  securityContext: {{- include "ru-emotions.containerSecurity" true | nindent 4 }}
  volumeMounts:
    - name: models
      mountPath: /repository
    - name: fetch-tmp
      mountPath: /tmp
{{- end }}
{{- end -}}

{{/* Whether Triton looks for new versions by itself. */}}
{{- define "ru-emotions.polls" -}}
{{- if or (and (eq .Values.models.source "pvc") (eq .Values.models.pvc.update "poll")) (and (eq .Values.models.source "s3") (not .Values.models.s3.direct)) -}}true{{- end -}}
{{- end -}}

{{- define "ru-emotions.s3Variables" -}}
- name: AWS_DEFAULT_REGION
  value: {{ .Values.models.s3.region | quote }}
{{- with .Values.models.s3.existingSecret }}
{{- range $name := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $.Values.models.s3.existingSecret | quote }}
      key: {{ $name }}
{{- end }}
{{- end }}
{{- end -}}

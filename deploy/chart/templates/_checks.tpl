{{/*
What values.schema.json can't say: values that contradict each other. Each is refused with a sentence that names them.
Included once, by the gateway's Deployment. Takes the root context.
*/}}
{{- define "ru-emotions.check" -}}
{{- $models := .Values.models -}}
{{- if eq $models.source "image" -}}
  {{- if not $models.image.repository -}}
    {{- fail "models.image.repository is empty: name the image with the model repository (deploy/kubernetes/models.Dockerfile), or choose models.source pvc or s3" -}}
  {{- end -}}
  {{- if not $models.image.digest -}}
    {{- fail "models.image.digest is empty: give the image's sha256:… (a tag may mean something else tomorrow, and a restarted pod would serve it)" -}}
  {{- end -}}
  {{- if semverCompare "<1.33.0-0" .Capabilities.KubeVersion.Version -}}
    {{- fail (printf "models.source image needs Kubernetes 1.35, or 1.33 with the feature gate ImageVolume; this is %s: choose pvc or s3" .Capabilities.KubeVersion.Version) -}}
  {{- end -}}
{{- else if eq $models.source "pvc" -}}
  {{- if not $models.pvc.claim -}}
    {{- fail "models.pvc.claim is empty: name the claim with the model repository" -}}
  {{- end -}}
{{- else -}}
  {{- if not $models.s3.endpoint -}}
    {{- fail "models.s3.endpoint is empty: give the server's address, such as https://s3.eu-central-1.amazonaws.com" -}}
  {{- end -}}
  {{- if not $models.s3.bucket -}}
    {{- fail "models.s3.bucket is empty: name the bucket with the model repository" -}}
  {{- end -}}
{{- end -}}

{{- if and (eq .Values.triton.device "gpu") (lt (int .Values.triton.gpu.count) 1) -}}
  {{- fail "triton.gpu.count is 0, but triton.device is gpu: give each Triton a GPU, or choose device cpu" -}}
{{- end -}}
{{- $needed := int (include "ru-emotions.tritonGrace" .) -}}
{{- with .Values.triton.terminationGracePeriodSeconds -}}
  {{- if lt (int .) $needed -}}
    {{- fail (printf "triton.terminationGracePeriodSeconds is %d, but drainSeconds and exitTimeoutSeconds need %d: requests under way would be cut off" (int .) $needed) -}}
  {{- end -}}
{{- end -}}
{{- $timeout := .Values.gateway.settings.requestTimeout | default 5 -}}
{{- if lt (float64 .Values.triton.exitTimeoutSeconds) (float64 $timeout) -}}
  {{- fail (printf "triton.exitTimeoutSeconds is %v, but a request may take gateway.settings.requestTimeout %v: a Triton that stops would cut it off" .Values.triton.exitTimeoutSeconds $timeout) -}}
{{- end -}}
{{- if gt (int (include "ru-emotions.mebibytes" .Values.triton.shmSize)) (int (include "ru-emotions.mebibytes" .Values.triton.resources.limits.memory)) -}}
  {{- fail (printf "triton.shmSize %s is more than triton.resources.limits.memory %s, of which it is a part" .Values.triton.shmSize .Values.triton.resources.limits.memory) -}}
{{- end -}}

{{- $needed = int (include "ru-emotions.gatewayGrace" .) -}}
{{- with .Values.gateway.terminationGracePeriodSeconds -}}
  {{- if lt (int .) $needed -}}
    {{- fail (printf "gateway.terminationGracePeriodSeconds is %d, but drainSeconds and settings.requestTimeout need %d: answers under way would be cut off" (int .) $needed) -}}
  {{- end -}}
{{- end -}}
{{- if and .Values.gateway.ingress.enabled (not .Values.gateway.ingress.host) -}}
  {{- fail "gateway.ingress.host is empty: an Ingress without a host answers for every name" -}}
{{- end -}}
{{- if .Values.gateway.httpRoute.enabled -}}
  {{- if not .Values.gateway.httpRoute.parent.name -}}
    {{- fail "gateway.httpRoute.parent.name is empty: name the Gateway" -}}
  {{- end -}}
  {{- if not .Values.gateway.httpRoute.hosts -}}
    {{- fail "gateway.httpRoute.hosts is empty: a route without a host answers for every name" -}}
  {{- end -}}
  {{- if .Values.gateway.ingress.enabled -}}
    {{- fail "gateway.ingress.enabled and gateway.httpRoute.enabled publish the gateway twice: choose one" -}}
  {{- end -}}
{{- end -}}

{{- $settings := .Values.gateway.settings -}}
{{- if lt (int ($settings.maxBodyBytes | default 2097152)) (int ($settings.maxCharacters | default 10000)) -}}
  {{- fail (printf "gateway.settings.maxBodyBytes %v is too small for one text of maxCharacters %v" ($settings.maxBodyBytes | default 2097152) ($settings.maxCharacters | default 10000)) -}}
{{- end -}}
{{- range $limit, $usual := dict "maxInFlight" 256 "maxTextsInFlight" 4096 -}}
  {{- $most := int (index $settings $limit | default $usual) -}}
  {{- if lt $most (int ($settings.workers | default 1)) -}}
    {{- fail (printf "gateway.settings.%s %d leaves some of %v workers without any" $limit $most $settings.workers) -}}
  {{- end -}}
{{- end -}}
{{- if and .Values.keys.existingSecret .Values.monitoring.serviceMonitor.enabled (eq .Values.keys.file .Values.keys.metricsFile) -}}
  {{- fail "keys.metricsFile is keys.file: Prometheus needs a file with one key and nothing else" -}}
{{- end -}}

{{- $scaled := false -}}
{{- range $component := list "triton" "gateway" -}}
  {{- $values := index $.Values $component -}}
  {{- $scale := $values.autoscaling -}}
  {{- if and $scale.enabled (gt (int $scale.minReplicas) (int $scale.maxReplicas)) -}}
    {{- fail (printf "%s.autoscaling.minReplicas %d is more than maxReplicas %d" $component (int $scale.minReplicas) (int $scale.maxReplicas)) -}}
  {{- end -}}
  {{- $scaled = or $scaled $scale.enabled -}}
  {{- $targets := ternary (list "textsWaiting" "pendingRequests") (list "cpuUtilization" "refusedPerSecond") (eq $component "triton") -}}
  {{- if and $scale.enabled (not (index $scale (first $targets))) (not (index $scale (last $targets))) -}}
    {{- fail (printf "%s.autoscaling: %s are both 0, so there is nothing to scale on" $component (join " and " $targets)) -}}
  {{- end -}}
  {{- $memory := $values.resources -}}
  {{- if gt (int (include "ru-emotions.mebibytes" $memory.requests.memory)) (int (include "ru-emotions.mebibytes" $memory.limits.memory)) -}}
    {{- fail (printf "%s.resources.requests.memory %s is more than limits.memory %s" $component $memory.requests.memory $memory.limits.memory) -}}
  {{- end -}}
  {{- if and (has (toString $values.rollingUpdate.maxSurge) (list "0" "0%")) (has (toString $values.rollingUpdate.maxUnavailable) (list "0" "0%")) -}}
    {{- fail (printf "%s.rollingUpdate: maxSurge and maxUnavailable are both 0, so nothing could ever be updated" $component) -}}
  {{- end -}}
{{- end -}}
{{- if and $scaled (eq .Values.autoscaling.with "keda") (not .Values.autoscaling.prometheusAddress) -}}
  {{- fail "autoscaling.prometheusAddress is empty: KEDA asks Prometheus for what is waiting" -}}
{{- end -}}
{{- end -}}

{{/* Seconds for which a gateway that was told to stop closes each connection with its answer. */}}
{{- define "ru-emotions.closing" -}}3{{- end -}}

{{/* Seconds that it needs to stop: the drain, `closing`, its deadline, 1 for answers, 1 for calls, and 5 to end. */}}
{{- define "ru-emotions.gatewayGrace" -}}
{{- add .Values.gateway.drainSeconds (include "ru-emotions.closing" .) (ceil (.Values.gateway.settings.requestTimeout | default 5)) 7 -}}
{{- end -}}

{{/* Seconds that Triton needs to stop: the drain, what --exit-timeout-secs gives requests under way, and 5 to end. */}}
{{- define "ru-emotions.tritonGrace" -}}
{{- add .Values.triton.drainSeconds .Values.triton.exitTimeoutSeconds 5 -}}
{{- end -}}

{{/* Of a quantity such as 256Mi or 4Gi, which the schema makes sure of. */}}
{{- define "ru-emotions.mebibytes" -}}
{{- $number := regexFind "^[0-9]+" . | int -}}
{{- ternary (mul $number 1024) $number (hasSuffix "Gi" .) -}}
{{- end -}}

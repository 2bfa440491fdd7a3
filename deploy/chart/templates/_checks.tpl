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
{{- if lt (int (include "ru-emotions.mebibytes" .Values.triton.shmSize)) 64 -}}
  {{- fail (printf "triton.shmSize %s is less than a container gets by itself: 64Mi at least" .Values.triton.shmSize) -}}
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

{{- if and .Values.serviceAccount.annotations (not .Values.serviceAccount.create) -}}
  {{- fail "serviceAccount.annotations are for one that the chart makes, and serviceAccount.create is false: annotate yours" -}}
{{- end -}}
{{- include "ru-emotions.checkResources" (dict "name" "models.s3.fetch.resources" "resources" .Values.models.s3.fetch.resources) -}}
{{- range .Values.gateway.extraEnv -}}
  {{- if hasPrefix "EMOTION_" .name -}}
    {{- fail (printf "gateway.extraEnv: %s is the gateway's own: set it in gateway.settings, or leave it to the chart" .name) -}}
  {{- end -}}
{{- end -}}
{{- range .Values.triton.extraEnv -}}
  {{- if has .name (list "HOME" "PYTHONDONTWRITEBYTECODE" "CUDA_VISIBLE_DEVICES") -}}
    {{- fail (printf "triton.extraEnv: %s is set by the chart" .name) -}}
  {{- end -}}
{{- end -}}
{{- range $where, $given := dict "gateway" .Values.gateway "triton" .Values.triton "models.s3.fetch" .Values.models.s3.fetch -}}
  {{- $seen := list -}}
  {{- range $given.extraEnv -}}
    {{- if or (has .name $seen) (and (ne $where "gateway") (has .name (list "AWS_DEFAULT_REGION" "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY"))) -}}
      {{- fail (printf "%s.extraEnv: %s is there twice, or set by models.s3" $where .name) -}}
    {{- end -}}
    {{- $seen = append $seen .name -}}
    {{- if and (hasKey . "value") (hasKey . "valueFrom") -}}
      {{- fail (printf "%s.extraEnv: %s has both value and valueFrom" $where .name) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{- $scaled := false -}}
{{- range $component := list "triton" "gateway" -}}
  {{- $values := index $.Values $component -}}
  {{- $scale := $values.autoscaling -}}
  {{- if and $scale.enabled (gt (int $scale.minReplicas) (int $scale.maxReplicas)) -}}
    {{- fail (printf "%s.autoscaling.minReplicas %d is more than maxReplicas %d" $component (int $scale.minReplicas) (int $scale.maxReplicas)) -}}
  {{- end -}}
  {{- $scaled = or $scaled $scale.enabled -}}
  {{- range $label, $_ := $values.labels -}}
    {{- if has $label (list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component") -}}
      {{- fail (printf "%s.labels: %s is the chart's own: by it the pods are found" $component $label) -}}
    {{- end -}}
  {{- end -}}
  {{- $targets := ternary (list "textsWaiting" "pendingRequests") (list "cpuUtilization" "refusedPerSecond") (eq $component "triton") -}}
  {{- if and $scale.enabled (eq $component "triton") (not $scale.textsWaiting) $scale.pendingRequests (ne (include "ru-emotions.others" $) "true") -}}
    {{- fail "triton.autoscaling.textsWaiting is 0, and pendingRequests counts only where others than the gateways may ask Triton (networkPolicy.tritonFrom): there is nothing to scale on" -}}
  {{- end -}}
  {{- if and $scale.enabled (not (index $scale (first $targets))) (not (index $scale (last $targets))) -}}
    {{- fail (printf "%s.autoscaling: %s are both 0, so there is nothing to scale on" $component (join " and " $targets)) -}}
  {{- end -}}
  {{- include "ru-emotions.checkResources" (dict "name" (printf "%s.resources" $component) "resources" $values.resources) -}}
  {{- if lt (int (include "ru-emotions.mebibytes" $values.resources.limits.memory)) 256 -}}
    {{- fail (printf "%s.resources.limits.memory %s is too little to start with: 256Mi at least" $component $values.resources.limits.memory) -}}
  {{- end -}}
  {{- if and (has (toString $values.rollingUpdate.maxSurge) (list "0" "0%")) (has (toString $values.rollingUpdate.maxUnavailable) (list "0" "0%")) -}}
    {{- fail (printf "%s.rollingUpdate: maxSurge and maxUnavailable are both 0, so nothing could ever be updated" $component) -}}
  {{- end -}}
{{- end -}}
{{- $seconds := .Values.monitoring.serviceMonitor.interval -}}
{{- if and $scaled .Values.monitoring.serviceMonitor.enabled (or (hasSuffix "m" $seconds) (gt (int (trimSuffix "s" $seconds)) 30)) -}}
  {{- fail (printf "monitoring.serviceMonitor.interval %s is too long for autoscaling, which looks at the last minute: 30s at most" $seconds) -}}
{{- end -}}
{{- if and $scaled (eq .Values.autoscaling.with "keda") (not .Values.autoscaling.prometheusAddress) -}}
  {{- fail "autoscaling.prometheusAddress is empty: KEDA asks Prometheus for what is waiting" -}}
{{- end -}}
{{- end -}}

{{/* (dict "name" "triton.resources" "resources" …): no request may be more than its limit. */}}
{{- define "ru-emotions.checkResources" -}}
{{- $requests := .resources.requests -}}
{{- $limits := .resources.limits -}}
{{- $units := dict "memory" "ru-emotions.mebibytes" "cpu" "ru-emotions.millicores" "ephemeral-storage" "ru-emotions.mebibytes" -}}
{{- range $resource, $unit := $units -}}
  {{- $asked := index $requests $resource -}}
  {{- $most := index $limits $resource -}}
  {{- if and $asked $most -}}
    {{- if gt (float64 (include $unit $asked)) (float64 (include $unit $most)) -}}
      {{- fail (printf "%s.requests.%s %v is more than limits.%s %v" $.name $resource $asked $resource $most) -}}
    {{- end -}}
  {{- end -}}
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
{{- $units := dict "Ki" 0.0009765625 "Mi" 1 "Gi" 1024 "Ti" 1048576 "M" 0.95367431640625 "G" 953.67431640625 "T" 953674.31640625 -}}
{{- mulf (float64 (regexFind "^[0-9]+" .)) (index $units (regexFind "[A-Za-z]+$" .)) -}}
{{- end -}}

{{/* Of a CPU such as 500m, "1.5" or 2. */}}
{{- define "ru-emotions.millicores" -}}
{{- $text := toString . -}}
{{- mulf (float64 (trimSuffix "m" $text)) (ternary 1 1000 (hasSuffix "m" $text)) -}}
{{- end -}}

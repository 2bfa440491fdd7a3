{{/* Commands inside Triton's container. Its HTTP is for nobody else, so Kubernetes can't ask from outside. */}}

{{/* (ready or live), as a list. */}}
{{- define "ru-emotions.tritonAnswers" -}}
[curl, --fail, --silent, --show-error, --noproxy, "*", --max-time, "4", "http://127.0.0.1:8000/v2/health/{{ . }}"]
{{- end -}}

{{/*
A process of a model instance that died by itself remains a zombie: Triton waits only for those that it has stopped.
Prints the numbers of those there are. ("triton_python_b" is what the system shows of triton_python_backend_stub.)
*/}}
{{- define "ru-emotions.deadStubs" -}}
dead() {
  for stat in /proc/[0-9]*/stat; do
    if { read -r line < "$stat"; } 2> /dev/null && [[ $line == *"(triton_python_b"*") Z "* ]]; then
      echo "${line%% *}"
    fi
  done
}
{{- end -}}

{{- define "ru-emotions.startupProbe" -}}
{{ include "ru-emotions.deadStubs" . }}
{{ include "ru-emotions.tritonAnswers" "ready" | fromYamlArray | join " " | replace " * " " '*' " }}
dead > /tmp/dead-at-start
{{- end -}}

{{- define "ru-emotions.livenessProbe" -}}
{{ include "ru-emotions.deadStubs" . }}
{{ include "ru-emotions.tritonAnswers" "live" | fromYamlArray | join " " | replace " * " " '*' " }}
for pid in $(dead); do
  if ! grep --quiet --line-regexp "$pid" /tmp/dead-at-start; then
    echo "the process $pid of a model instance has died"
    exit 1
  fi
done
{{- end -}}

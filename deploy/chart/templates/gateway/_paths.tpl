{{/*
What an Ingress or a route publishes: all that the gateway answers but /metrics, which shows how the service is used, and
/health, which is for the cluster. A test compares it with the gateway's own routes.
*/}}
{{- define "ru-emotions.publicPaths" -}}
- {path: /v1, type: Prefix}
- {path: /classify, type: Exact}
- {path: /predict, type: Exact}
- {path: /docs, type: Prefix}
- {path: /docs.js, type: Exact}
- {path: /openapi.json, type: Exact}
- {path: /, type: Exact}
- {path: /icon.svg, type: Exact}
- {path: /page.css, type: Exact}
{{- range $script := list "csv" "drawing" "file" "history" "page" "scoring" "tools" "words" }}
- {path: /{{ $script }}.js, type: Exact}
{{- end }}
{{- end -}}

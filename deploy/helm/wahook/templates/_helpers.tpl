{{- define "wahook.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The one label by which objects select pods: unique to release and program. Takes (list root program). */}}
{{- define "wahook.selector" -}}
app.kubernetes.io/name: {{ include "wahook.fullname" (first .) }}-{{ last . }}
{{- end -}}

{{/* Labels of an object of a program, and of its pods. Takes (list root program). */}}
{{- define "wahook.labels" -}}
{{- $root := first . -}}
{{ include "wahook.selector" . }}
app.kubernetes.io/part-of: wahook
app.kubernetes.io/component: {{ last . }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of objects that belong to no single program. Takes the root. */}}
{{- define "wahook.commonLabels" -}}
app.kubernetes.io/part-of: wahook
app.kubernetes.io/instance: {{ .Release.Name }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Takes (list root repository). */}}
{{- define "wahook.image" -}}
{{- $root := first . -}}
{{- with $root.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- last . }}:{{ default $root.Chart.AppVersion $root.Values.image.tag -}}
{{- end -}}

{{/* Credentials of a program: names in `credentials`, separated by spaces. Takes (list root program). */}}
{{- define "wahook.credentialsOf" -}}
{{- $root := first . -}}
{{- $amqpUrl := include "wahook.amqpUrlOf" . -}}
{{- if eq (last .) "producer" -}}
{{ $amqpUrl }} producerToken
{{- else if eq (last .) "console" -}}
{{ $amqpUrl }} mongodbUri consoleToken{{ if $root.Values.console.readToken }} consoleReadToken{{ end }}
{{- else -}}
{{ $amqpUrl }} mongodbUri{{ if include "wahook.signs" $root }} webhookSecret{{ end }}
{{- end -}}
{{- end -}}

{{/* Name in `credentials` of the broker's address for a program: its own, or that of all. Takes (list root program). */}}
{{- define "wahook.amqpUrlOf" -}}
{{- $own := printf "%sAmqpUrl" (last .) -}}
{{- $credential := get (first .).Values.credentials $own -}}
{{- if or $credential.value $credential.existingSecret }}{{ $own }}{{ else }}amqpUrl{{ end -}}
{{- end -}}

{{/* File of a credential, which names its setting as well. Takes the name in `credentials`. */}}
{{- define "wahook.credentialFile" -}}
{{- if hasSuffix "AmqpUrl" . }}amqp_url{{ else }}{{ snakecase . }}{{ end -}}
{{- end -}}

{{/* Not empty if the chart signs for the single endpoint: the endpoints file has the secrets of several. */}}
{{- define "wahook.signs" -}}
{{- if and .Values.webhook.url .Values.webhook.signed }}true{{ end -}}
{{- end -}}

{{/* Secret of a credential. Takes (list root credential). */}}
{{- define "wahook.secretName" -}}
{{- $root := first . -}}
{{- $own := (get $root.Values.credentials (last .)).existingSecret -}}
{{- default (default (include "wahook.fullname" $root) $root.Values.existingSecret) $own -}}
{{- end -}}

{{/* Volume with the credentials of a program and nothing else, as files for its group. Takes (list root program). */}}
{{- define "wahook.secretVolume" -}}
{{- $root := first . -}}
{{- $items := dict -}}
{{- range splitList " " (include "wahook.credentialsOf" .) -}}
{{- $name := include "wahook.secretName" (list $root .) -}}
{{- $item := dict "key" (get $root.Values.credentials .).key "path" (include "wahook.credentialFile" .) -}}
{{- $_ := set $items $name (append (get $items $name | default list) $item) -}}
{{- end -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range $name, $items := $items }}
      - secret:
          name: {{ $name }}
          items:
            {{- range $items }}
            - {key: {{ .key }}, path: {{ .path }}}
            {{- end }}
      {{- end }}
{{- end -}}

{{/* Settings that name the files of a program's credentials. Takes (list root program). */}}
{{- define "wahook.secretSettings" -}}
{{- range splitList " " (include "wahook.credentialsOf" .) }}
{{- $file := include "wahook.credentialFile" . }}
- {name: {{ upper $file }}_FILE, value: /run/secrets/wahook/{{ $file }}}
{{- end }}
{{- end -}}

{{/* Further settings and environment of a program. Takes its values. */}}
{{- define "wahook.extraEnv" -}}
{{- range $name, $value := .settings }}
{{- /* A number of a values file would be printed as 1.34217728e+08. */}}
- {name: {{ $name }}, value: {{ if kindIs "string" $value }}{{ quote $value }}{{ else }}{{ toJson $value | quote }}{{ end }}}
{{- end }}
{{- with .extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Not empty if there is an endpoints file or a sources file. Takes the values of one. */}}
{{- define "wahook.hasFile" -}}
{{- if or .file .existingConfigMap .existingSecret }}true{{ end -}}
{{- end -}}

{{/* Volume with a file and the secrets beside it. Takes (list root "endpoints" or "sources"). */}}
{{- define "wahook.fileVolume" -}}
{{- $values := get (first .).Values (last .) -}}
- name: {{ last . }}
  projected:
    defaultMode: 0440
    sources:
      {{- if $values.existingSecret }}
      - secret:
          name: {{ $values.existingSecret }}
      {{- else }}
      - configMap:
          name: {{ default (printf "%s-%s" (include "wahook.fullname" (first .)) (last .)) $values.existingConfigMap }}
      {{- end }}
      {{- with $values.secretFiles }}
      - secret:
          name: {{ . }}
      {{- end }}
{{- end -}}

{{/* Metadata of pods. A change of the chart's own Secret or files starts new pods. Takes (list root program file). */}}
{{- define "wahook.podMetadata" -}}
{{- $root := index . 0 -}}
{{- $values := get $root.Values (index . 1) -}}
{{- $file := index . 2 -}}
labels:
  {{- include "wahook.labels" (list $root (index . 1)) | nindent 2 }}
  {{- with $values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := dict -}}
{{- $own := include (print $root.Template.BasePath "/secret.yaml") $root -}}
{{- if contains "stringData" $own -}}
{{- $_ := set $annotations "checksum/secret" (sha256sum $own) -}}
{{- end -}}
{{- if $file -}}
{{- with (get $root.Values $file).file -}}
{{- $_ := set $annotations (print "checksum/" $file) (sha256sum .) -}}
{{- end -}}
{{- end -}}
{{- with merge $annotations $values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Fields of every pod. Takes (list root program). */}}
{{- define "wahook.pod" -}}
{{- $root := first . -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- with (get $root.Values (last .)).pod }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Fields of every container that no value changes. */}}
{{- define "wahook.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

# What can be said about a deployment.  The folder above has the same file by a symbolic link, so that the two cannot differ.

variable "namespace" {
  description = "Namespace for all resources."
  type        = string
  default     = "push"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace: \"${var.namespace}\" is no name for a namespace: up to 63 of a-z, 0-9 and -, and no - at either end."
  }
}

variable "create_namespace" {
  description = "false: the namespace already exists, with its own Pod Security level, and terraform destroy leaves it in place."
  type        = bool
  default     = true
  nullable    = false
}

variable "image" {
  description = "Push's image, with a tag or a digest."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[^\\s:@]+(:[0-9]+/[^\\s:@]+)?(:[\\w][\\w.-]{0,127}|@sha256:[0-9a-f]{64})$", var.image))
    error_message = "image: \"${var.image}\" has neither a tag nor a digest, such as registry.example.com/push:0.1.0."
  }
  validation {
    condition     = !endswith(var.image, ":latest")
    error_message = "image: \"${var.image}\" is another one tomorrow, of which Terraform would not know: name a version or a digest."
  }
}

variable "image_pull_secrets" {
  description = "Names of Secrets in the namespace, for the registries of both images."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "replicas" {
  description = "Number of Push pods. With an autoscaler (autoscaling.kind): the minimum."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = floor(var.replicas) == var.replicas && var.replicas >= 1 && var.replicas <= 1000
    error_message = "replicas: ${var.replicas} is no whole number from 1 to 1000."
  }
  validation {
    condition     = var.redis != "none" || var.replicas == 1
    error_message = "replicas: ${var.replicas} pods without Redis (redis = \"none\") would not know each other's clients: 1, or set redis to \"cluster\" or \"external\"."
  }
}

variable "autoscaling" {
  description = "kind: \"hpa\" (Kubernetes' own), \"keda\" (a ScaledObject; it needs KEDA and a Prometheus at prometheus_url) or \"none\". max: the maximum number of pods."
  type = object({
    kind           = optional(string, "hpa")
    max            = optional(number, 20)
    prometheus_url = optional(string, "http://prometheus-operated.monitoring:9090")
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["hpa", "keda", "none"], var.autoscaling.kind)
    error_message = "autoscaling.kind: \"${var.autoscaling.kind}\" is none of hpa, keda and none."
  }
  validation {
    condition     = var.autoscaling.kind == "none" || var.autoscaling.max >= var.replicas
    error_message = "autoscaling.max: ${var.autoscaling.max} is less than replicas, ${var.replicas}."
  }
  validation {
    condition     = var.autoscaling.kind == "none" || var.redis != "none"
    error_message = "autoscaling.kind: \"${var.autoscaling.kind}\" wants Redis: several pods without it (redis = \"none\") would not know each other's clients; set \"none\"."
  }
  validation {
    condition     = can(regex("^https?://[^\\s/]+", var.autoscaling.prometheus_url))
    error_message = "autoscaling.prometheus_url: \"${var.autoscaling.prometheus_url}\" is no URL of http or https."
  }
}

variable "requests" {
  description = "Resource requests of a Push pod, if they differ from the manifests. Push starts one worker per CPU."
  type = object({
    cpu    = optional(string)
    memory = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name, value in var.requests : can(regex("^[0-9]+(\\.[0-9]+)?(m|[KMGT]i?)?$", value)) if value != null])
    error_message = "requests: cpu = ${coalesce(var.requests.cpu, "null")}, memory = ${coalesce(var.requests.memory, "null")}: not quantities of Kubernetes, such as 500m and 256Mi."
  }
}

variable "environment" {
  description = "Further options of Push as environment variables, such as { PUSH_HISTORY_SIZE = \"100\" }. Not for secrets or the URL of Redis."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.environment) : can(regex("^PUSH_[A-Z][A-Z0-9_]*$", name))])
    error_message = "environment: ${join(", ", [for name in keys(var.environment) : name if !can(regex("^PUSH_[A-Z][A-Z0-9_]*$", name))])}: Push's options begin with PUSH_, in capitals."
  }
  validation {
    condition     = length(setintersection(keys(var.environment), ["PUSH_REDIS_URL", "PUSH_WORKERS"])) == 0
    error_message = "environment: PUSH_REDIS_URL comes from redis_url or redis_url_secret, and PUSH_WORKERS from requests.cpu."
  }
}

variable "redis" {
  description = "\"cluster\": the module creates a cluster; \"external\": use the Redis at redis_url; \"none\": one pod with the embedded broker."
  type        = string
  default     = "cluster"
  nullable    = false

  validation {
    condition     = contains(["cluster", "external", "none"], var.redis)
    error_message = "redis: \"${var.redis}\" is none of cluster, external and none."
  }
}

variable "redis_url" {
  description = "URL of an external Redis, in the form of push.redis.url. It is stored in a Secret and in Terraform's state. To keep it out of the state, use redis_url_secret."
  type        = string
  default     = null
  sensitive   = true

  validation {
    condition     = var.redis_url == null || can(regex("^(rediss?|rediss?\\+sentinel|rediss?\\+cluster)://[^\\s/]+", var.redis_url))
    error_message = "redis_url: not one of redis://, redis+sentinel:// and redis+cluster://, or rediss for TLS, with a host."
  }
  validation {
    condition     = var.redis == "external" || var.redis_url == null
    error_message = "redis_url: goes with redis = \"external\" only, and redis is \"${var.redis}\"."
  }
}

variable "redis_url_secret" {
  description = "A Secret in the namespace that contains the URL of an external Redis, instead of redis_url. The pods are not restarted when it changes."
  type = object({
    name = string
    key  = optional(string, "url")
  })
  default = null

  validation {
    condition     = (var.redis == "external") == ((var.redis_url != null) != (var.redis_url_secret != null)) && (var.redis == "external" || var.redis_url_secret == null)
    error_message = "redis_url_secret: redis = \"external\" wants either this or redis_url, and nothing else wants it; redis is \"${var.redis}\"."
  }
}

variable "redis_sharded" {
  description = "Use sharded channels (push.redis.sharded). null: yes with the module's own cluster, no with an external Redis, which may not support them."
  type        = bool
  default     = null
}

variable "redis_passwords" {
  description = "Passwords of the module's own cluster: admin for Redis itself, push for Push. They are stored in Terraform's state. null: the namespace already has a Secret \"redis\" with the keys password and push-password."
  type = object({
    admin = string
    push  = string
  })
  default   = null
  sensitive = true

  validation {
    condition     = var.redis_passwords == null || alltrue([for password in values(coalesce(var.redis_passwords, { admin = "", push = "" })) : can(regex("^[A-Za-z0-9_-]{16,128}$", password))])
    error_message = "redis_passwords: each has 16 to 128 of A-Z, a-z, 0-9, _ and -, as `openssl rand -hex 24` makes them; they become part of a URL."
  }
  validation {
    condition     = var.redis_passwords == null || var.redis == "cluster"
    error_message = "redis_passwords: are those of the module's own cluster, and redis is \"${var.redis}\"."
  }
}

variable "redis_replicas" {
  description = "Number of pods of the module's own cluster: two for each master, with its replica."
  type        = number
  default     = 6
  nullable    = false

  validation {
    condition     = floor(var.redis_replicas / 2) * 2 == var.redis_replicas && var.redis_replicas >= 6 && var.redis_replicas <= 100
    error_message = "redis_replicas: ${var.redis_replicas} is no even number from 6 to 100: three masters are the fewest that can outvote a lost one, and each has a replica."
  }
}

variable "redis_image" {
  description = "Image of the module's own cluster. null: the one in the manifests."
  type        = string
  default     = null
}

variable "redis_storage" {
  description = "Volumes of the module's own cluster. null: the value from the manifests, or the default of the Kubernetes cluster. Kubernetes does not allow changes later."
  type = object({
    class = optional(string)
    size  = optional(string)
  })
  default  = {}
  nullable = false
}

variable "route" {
  description = "How clients reach Push: \"ingress\", \"gateway\" (an HTTPRoute) or \"none\" (only the Service push, port 8080)."
  type        = string
  default     = "ingress"
  nullable    = false

  validation {
    condition     = contains(["ingress", "gateway", "none"], var.route)
    error_message = "route: \"${var.route}\" is none of ingress, gateway and none."
  }
}

variable "hosts" {
  description = "Host names under which clients reach Push."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for host in var.hosts : can(regex("^(\\*\\.)?([a-z0-9]([-a-z0-9]*[a-z0-9])?\\.)+[a-z]([-a-z0-9]*[a-z0-9])?$", host))])
    error_message = "hosts: ${join(", ", [for host in var.hosts : host if !can(regex("^(\\*\\.)?([a-z0-9]([-a-z0-9]*[a-z0-9])?\\.)+[a-z]([-a-z0-9]*[a-z0-9])?$", host))])}: not a name such as push.example.com or *.example.com."
  }
  validation {
    condition     = length(distinct(var.hosts)) == length(var.hosts)
    error_message = "hosts: a name is there twice."
  }
  validation {
    condition     = (var.route == "none") == (length(var.hosts) == 0)
    error_message = "hosts: route = \"${var.route}\" ${var.route == "none" ? "takes none" : "wants one at least; without any set route to \"none\""}."
  }
}

variable "ingress_class" {
  description = "Class of the Ingress. Its annotations are for the nginx ingress controller."
  type        = string
  default     = "nginx"
  nullable    = false
}

variable "gateway" {
  description = "The Gateway of the HTTPRoute. section: the name of its listener; null: all listeners."
  type = object({
    name      = string
    namespace = optional(string)
    section   = optional(string)
  })
  default = null

  validation {
    condition     = (var.route == "gateway") == (var.gateway != null)
    error_message = "gateway: goes with route = \"gateway\", which wants one; route is \"${var.route}\"."
  }
}

variable "tls" {
  description = "TLS of the Ingress: the Secret with the certificate, and the ClusterIssuer with which cert-manager creates it. null: no TLS. With a Gateway, its listeners configure TLS."
  type = object({
    secret         = optional(string, "push-tls")
    cluster_issuer = optional(string)
  })
  default = null

  validation {
    condition     = var.tls == null || var.route == "ingress"
    error_message = "tls: goes with route = \"ingress\", and route is \"${var.route}\": a Gateway's certificates are its listeners'."
  }
}

variable "monitoring_namespace" {
  description = "Namespace whose pods may connect to port 8000."
  type        = string
  default     = "monitoring"
  nullable    = false
}

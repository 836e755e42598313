# What can be said about a deployment.  The folder above has the same file by a symbolic link, so that the two cannot differ.

variable "namespace" {
  description = "Where everything goes."
  type        = string
  default     = "push"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace: \"${var.namespace}\" is no name for a namespace: up to 63 of a-z, 0-9 and -, and no - at either end."
  }
}

variable "create_namespace" {
  description = "false: it is there already, with Pod Security as strict as whoever made it wants it; it stays when all this goes."
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
  description = "Names of Secrets in the namespace that the registry of either image wants."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "replicas" {
  description = "Pods of Push. Where there is an autoscaler (autoscaling.kind): the fewest."
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
  description = "kind: \"hpa\" (Kubernetes' own), \"keda\" (a ScaledObject; KEDA and the Prometheus at prometheus_url have to be there) or \"none\". max: the most pods."
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
  description = "What a pod of Push asks for, where it is not what the manifests say; a worker for each CPU of it."
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
  description = "More options of Push by their variables, such as { PUSH_HISTORY_SIZE = \"100\" }. Not for secrets, and not for Redis' URL."
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
  description = "\"cluster\": one of the module's own; \"external\": the one at redis_url; \"none\": one pod with the embedded broker."
  type        = string
  default     = "cluster"
  nullable    = false

  validation {
    condition     = contains(["cluster", "external", "none"], var.redis)
    error_message = "redis: \"${var.redis}\" is none of cluster, external and none."
  }
}

variable "redis_url" {
  description = "Of an external Redis, as push.redis.url has it. It is kept in a Secret, and in Terraform's state: where that is not wanted use redis_url_secret."
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
  description = "A Secret in the namespace that holds the URL of an external Redis, in place of redis_url; the pods are not restarted when it changes."
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
  description = "Publish by shard (push.redis.sharded). null: with the module's own cluster yes, with an external Redis no, which may be one without shards."
  type        = bool
  default     = null
}

variable "redis_passwords" {
  description = "Of the module's own cluster: admin for Redis itself, push for Push. They are in Terraform's state. null: a Secret \"redis\" with the keys password and push-password is in the namespace."
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
  description = "Pods of the module's own cluster: each master and its replica are two."
  type        = number
  default     = 6
  nullable    = false

  validation {
    condition     = floor(var.redis_replicas / 2) * 2 == var.redis_replicas && var.redis_replicas >= 6 && var.redis_replicas <= 100
    error_message = "redis_replicas: ${var.redis_replicas} is no even number from 6 to 100: three masters are the fewest that can outvote a lost one, and each has a replica."
  }
}

variable "redis_image" {
  description = "Of the module's own cluster; null: as the manifests say."
  type        = string
  default     = null
}

variable "redis_storage" {
  description = "Volumes of the module's own cluster; what is null is as the manifests, or the cluster, say. Kubernetes does not let it be changed afterwards."
  type = object({
    class = optional(string)
    size  = optional(string)
  })
  default  = {}
  nullable = false
}

variable "route" {
  description = "How clients come in: \"ingress\", \"gateway\" (an HTTPRoute) or \"none\" (the Service push, port 8080, and nothing else)."
  type        = string
  default     = "ingress"
  nullable    = false

  validation {
    condition     = contains(["ingress", "gateway", "none"], var.route)
    error_message = "route: \"${var.route}\" is none of ingress, gateway and none."
  }
}

variable "hosts" {
  description = "Names that clients call Push by."
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
  description = "Of the Ingress, whose annotations are for the nginx ingress controller."
  type        = string
  default     = "nginx"
  nullable    = false
}

variable "gateway" {
  description = "The Gateway that the HTTPRoute is for; section is its listener's name, null: all of them."
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
  description = "TLS of the Ingress: the Secret with the certificate, and the ClusterIssuer by which cert-manager makes it; null: no TLS here. With a Gateway, TLS is its listeners'."
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
  description = "Whose pods may connect to port 8000."
  type        = string
  default     = "monitoring"
  nullable    = false
}

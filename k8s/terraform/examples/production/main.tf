# Push with a Redis that is there already, behind a Gateway, scaled by KEDA.
#
#   export TF_VAR_redis_url=rediss+cluster://push:...@redis.example.com:6379
#   terraform init && terraform apply -var image=registry.example.com/push:0.1.0

terraform {
  required_providers {
    kubectl = {
      source  = "gavinbunney/kubectl"
      version = "~> 1.19"
    }
  }
  # the state holds redis_url: keep it where only those who deploy can read it
  # backend "s3" { ... }
}

variable "kubeconfig" {
  description = "File with the cluster's address and who you are there."
  type        = string
  default     = "~/.kube/config"
}

variable "context" {
  description = "Of the kubeconfig; null: the current one."
  type        = string
  default     = null
}

variable "image" {
  description = "Push's image in your registry, with its version."
  type        = string
}

variable "redis_url" {
  description = "As push.redis.url has it."
  type        = string
  sensitive   = true
}

provider "kubectl" {
  config_path    = pathexpand(var.kubeconfig)
  config_context = var.context
}

module "push" {
  source = "../.."

  image    = var.image
  requests = { cpu = "1", memory = "256Mi" }

  replicas    = 3
  autoscaling = { kind = "keda", max = 40 }

  redis         = "external"
  redis_url     = var.redis_url
  redis_sharded = true

  route   = "gateway"
  gateway = { name = "public", namespace = "gateways", section = "https" }
  hosts   = ["push.example.com"]

  environment = { PUSH_HISTORY_SIZE = "100" }
}

output "url" {
  description = "Where clients find Push."
  value       = module.push.url
}

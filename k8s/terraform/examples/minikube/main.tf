# Everything on a cluster of one machine, for trying it.
#
#   minikube start && minikube addons enable ingress
#   minikube image build -t push:0.1.0 .          (in the project's folder)
#   terraform init && terraform apply
#   kubectl -n push port-forward service/push 8080:8080
#   curl -H 'Content-Type: application/json' http://localhost:8080/messages -d '{"channel":"qwerty","message":"hello"}'

terraform {
  required_providers {
    kubectl = {
      source  = "gavinbunney/kubectl"
      version = "~> 1.19"
    }
  }
}

variable "kubeconfig" {
  description = "File with the cluster's address and who you are there."
  type        = string
  default     = "~/.kube/config"
}

variable "context" {
  description = "Of the kubeconfig; null: the current one."
  type        = string
  default     = "minikube"
}

variable "redis_passwords" {
  description = "For a machine of your own the ones here will do; nobody else can reach Redis."
  type = object({
    admin = string
    push  = string
  })
  default   = { admin = "for-trying-only-admin", push = "for-trying-only-push" }
  sensitive = true
}

provider "kubectl" {
  config_path    = pathexpand(var.kubeconfig)
  config_context = var.context
}

module "push" {
  source = "../.."

  image           = "push:0.1.0"
  redis_passwords = var.redis_passwords
  hosts           = ["push.localtest.me"]
}

output "url" {
  description = "Where clients find Push."
  value       = module.push.url
}

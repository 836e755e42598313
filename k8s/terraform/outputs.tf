output "namespace" {
  description = "Namespace of all resources."
  value       = var.namespace
}

output "manifests" {
  description = "The deployed manifests, except Secrets: { \"Deployment/push\" = {...}, ... }."
  value       = module.render.manifests
}

output "url" {
  description = "URL for clients. null: there is no route."
  value       = module.render.url
}

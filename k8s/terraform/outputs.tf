output "namespace" {
  description = "Where everything is."
  value       = var.namespace
}

output "manifests" {
  description = "What is deployed, but for Secrets: { \"Deployment/push\" = {...}, ... }."
  value       = module.render.manifests
}

output "url" {
  description = "Where clients find Push; null where there is no route."
  value       = module.render.url
}

output "manifests" {
  description = "The deployed manifests, except Secrets: { \"Deployment/push\" = {...}, ... }."
  value       = local.manifests
}

output "secret_names" {
  description = "Names of the Secrets in `secrets`."
  value       = local.secret_names
}

output "secrets" {
  description = "Secrets by their names."
  value       = local.secrets
  sensitive   = true
}

output "url" {
  description = "URL for clients. null: there is no route."
  value       = one([for host in slice(var.hosts, 0, min(1, length(var.hosts))) : "${var.tls != null || var.route == "gateway" ? "https" : "http"}://${host}/"])
}

# Secrets are kept apart: Terraform hides a value that has one of them in it, and what is hidden cannot say what there is
# to deploy.

locals {
  has_url       = nonsensitive(var.redis_url != null)
  has_passwords = nonsensitive(var.redis_passwords != null)

  secret_data = merge(
    { for name in ["push-redis"] : name => { url = var.redis_url } if local.has_url },
    { for name in ["redis"] : name => { password = var.redis_passwords.admin, push-password = var.redis_passwords.push } if local.has_passwords },
  )
  secret_names = concat([for name in ["push-redis"] : name if local.has_url], [for name in ["redis"] : name if local.has_passwords])
  # Of an external Redis' URL, so that the pods are replaced when it changes.  Short, for whoever may see pods but no Secrets:
  # he can rule guesses out by it, but not find one.  Not of the own cluster's passwords: see README.md.
  url_sum = nonsensitive(substr(sha256(coalesce(var.redis_url, "-")), 0, 4))

  secrets = {
    for name in local.secret_names : name => {
      apiVersion = "v1"
      kind       = "Secret"
      metadata   = { name = name, namespace = var.namespace, labels = { "app.kubernetes.io/part-of" = "push" } }
      type       = "Opaque"
      data       = { for key, value in local.secret_data[name] : key => base64encode(value) }
    }
  }
}

# Applies what ./render says, by the kubeconfig of whoever uses this module: see README.md and examples/.

module "render" {
  source = "./render"

  namespace            = var.namespace
  create_namespace     = var.create_namespace
  image                = var.image
  image_pull_secrets   = var.image_pull_secrets
  replicas             = var.replicas
  autoscaling          = var.autoscaling
  requests             = var.requests
  environment          = var.environment
  redis                = var.redis
  redis_url            = var.redis_url
  redis_url_secret     = var.redis_url_secret
  redis_sharded        = var.redis_sharded
  redis_passwords      = var.redis_passwords
  redis_replicas       = var.redis_replicas
  redis_image          = var.redis_image
  redis_storage        = var.redis_storage
  route                = var.route
  hosts                = var.hosts
  ingress_class        = var.ingress_class
  gateway              = var.gateway
  tls                  = var.tls
  monitoring_namespace = var.monitoring_namespace
}

locals {
  first     = { for key, manifest in module.render.manifests : key => yamlencode(manifest) if manifest.kind == "Namespace" }
  last      = { for key, manifest in module.render.manifests : key => yamlencode(manifest) if manifest.kind == "Deployment" }
  in_middle = { for key, manifest in module.render.manifests : key => yamlencode(manifest) if !contains(["Namespace", "Deployment"], manifest.kind) }
}

# What it deletes it waits for: the next one may have the same name.
resource "kubectl_manifest" "namespace" {
  for_each  = local.first
  yaml_body = each.value
  wait      = true
}

resource "kubectl_manifest" "secret" {
  for_each   = toset(module.render.secret_names)
  yaml_body  = yamlencode(module.render.secrets[each.key])
  depends_on = [kubectl_manifest.namespace]
}

resource "kubectl_manifest" "other" {
  for_each   = local.in_middle
  yaml_body  = each.value
  depends_on = [kubectl_manifest.namespace, kubectl_manifest.secret]
}

# Ready when its pods are: it waits for Redis by itself.
resource "kubectl_manifest" "deployment" {
  for_each   = local.last
  yaml_body  = each.value
  depends_on = [kubectl_manifest.other]

  timeouts {
    create = "10m"
  }
}

# The manifests, as Kubernetes wants them: k8s/cluster.yml, which kustomize renders, with what the variables change.
#
# There is no manifest in here.  What is deployed by kubectl and what is by Terraform is the same text, read from the same
# files; a document that is added to cluster.yml is deployed by Terraform, too, without a change here.  This module needs no
# provider, so that it can be tested without a cluster, and by `terraform test` alone.
#
# Terraform wants both sides of `a ? b : c` to be of one type, which two manifests never are.  Hence `for ... if` where
# something is there or not, and merge() for what replaces a part.

terraform {
  required_version = ">= 1.9"
}

locals {
  folder = "${path.module}/../.."

  # what cluster.yml has not: the other kind of autoscaler, and the other way in
  texts = concat(
    split("\n---\n", "\n${file("${local.folder}/cluster.yml")}"),
    [for text in [file("${local.folder}/components/keda/scaled-object.yaml")] : text if var.autoscaling.kind == "keda"],
    [for text in [file("${local.folder}/components/gateway/http-route.yaml")] : text if var.route == "gateway"],
  )
  documents = [for document in [for text in local.texts : yamldecode(text)] : document if document != null]

  # "Deployment/push"; two of one name are an error here
  all = { for document in local.documents : "${document.kind}/${document.metadata.name}" => document }

  own_redis = var.redis == "cluster"
  # named redis, or redis- and something
  is_redis = { for key, document in local.all : key => can(regex("^redis($|-)", document.metadata.name)) }
  left_out = concat(
    ["Secret/redis"], # with its password for trying: see secrets.tf
    [for key in keys(local.all) : key if local.is_redis[key] && !local.own_redis],
    [for key in ["Namespace/push"] : key if !var.create_namespace],
    [for key in ["HorizontalPodAutoscaler/push"] : key if var.autoscaling.kind != "hpa"],
    [for key in ["Ingress/push"] : key if var.route != "ingress"],
    # of one pod it would only keep machines from being emptied
    [for key in ["PodDisruptionBudget/push"] : key if var.redis == "none"],
  )

  chosen = { for key, document in local.all : key => document if !contains(local.left_out, key) }

  manifests = {
    for key, document in local.chosen : key => merge(
      document,
      { metadata = merge(document.metadata, try(local.metadata[key], local.placed)) },
      try(local.patches[key], {}),
    )
  }
  placed   = { namespace = var.namespace }
  metadata = merge({ "Namespace/push" = { name = var.namespace } }, local.ingress_metadata)
  patches = {
    "Deployment/push"              = { spec = local.deployment }
    "HorizontalPodAutoscaler/push" = { spec = local.hpa }
    "ScaledObject/push"            = { spec = local.scaled_object }
    "StatefulSet/redis"            = { spec = local.stateful_set }
    "Ingress/push"                 = { spec = local.ingress }
    "HTTPRoute/push"               = { spec = local.http_route }
    "NetworkPolicy/push"           = { spec = local.network_policy }
  }
}

# Push itself, and its autoscaler.

locals {
  deployment_spec = local.all["Deployment/push"].spec
  pod             = local.deployment_spec.template.spec
  container       = local.pod.containers[0]

  # What the manifests say, but for Redis where it is another one, and for what is said anew.
  redis_variables = ["REDIS_PUSH_PASSWORD", "PUSH_REDIS_URL", "PUSH_REDIS_SHARDED"]
  said_anew = concat(
    keys(var.environment),
    [for name in ["PUSH_REDIS_SHARDED"] : name if var.redis_sharded != null],
    [for name in local.redis_variables : name if !local.own_redis],
  )
  url_secret = try({ name = var.redis_url_secret.name, key = var.redis_url_secret.key }, { name = "push-redis", key = "url" })
  env = concat(
    [for entry in local.container.env : entry if !contains(local.said_anew, entry.name)],
    [for secret in [local.url_secret] : { name = "PUSH_REDIS_URL", valueFrom = { secretKeyRef = secret } } if var.redis == "external"],
    [for sharded in [var.redis_sharded] : { name = "PUSH_REDIS_SHARDED", value = sharded ? "on" : "off" } if sharded != null && var.redis != "none"],
    [for name, value in var.environment : { name = name, value = value }],
  )

  annotations = merge(
    try(local.deployment_spec.template.metadata.annotations, {}),
    { for name, sum in { "push/redis-url" = local.url_sum } : name => sum if local.has_url },
  )
  pull_secrets = { for list in [[for name in var.image_pull_secrets : { name = name }]] : "imagePullSecrets" => list if length(list) > 0 }

  deployment = merge(
    local.deployment_spec,
    { for name, count in { replicas = var.replicas } : name => count if var.autoscaling.kind == "none" },
    # Two pods with a broker each would not know each other's clients: see overlays/minimal.
    { for name, strategy in { strategy = { type = "Recreate" } } : name => strategy if var.redis == "none" },
    {
      template = merge(local.deployment_spec.template, {
        metadata = merge(local.deployment_spec.template.metadata, { annotations = local.annotations })
        spec = merge(local.pod, local.pull_secrets, {
          containers = concat([merge(local.container, {
            image = var.image
            env   = local.env
            resources = merge(local.container.resources, {
              requests = merge(local.container.resources.requests, { for name, value in var.requests : name => value if value != null })
            })
          })], slice(local.pod.containers, 1, length(local.pod.containers)))
        })
      })
    },
  )

  hpa = merge(local.all["HorizontalPodAutoscaler/push"].spec, { minReplicas = var.replicas, maxReplicas = var.autoscaling.max })

  scaled = try(local.all["ScaledObject/push"].spec, { triggers = [] })
  scaled_object = merge(local.scaled, {
    minReplicaCount = var.replicas
    maxReplicaCount = var.autoscaling.max
    triggers = [for trigger in local.scaled.triggers : merge(trigger, {
      metadata = merge(trigger.metadata, { for name, value in {
        serverAddress = var.autoscaling.prometheus_url
        query         = replace(try(trigger.metadata.query, ""), "namespace=\"push\"", "namespace=\"${var.namespace}\"")
      } : name => value if trigger.type == "prometheus" })
    })]
  })

  network = local.all["NetworkPolicy/push"].spec
  network_policy = merge(local.network, {
    ingress = [for rule in local.network.ingress : merge(rule, {
      for name, from in {
        from = [{ namespaceSelector = { matchLabels = { "kubernetes.io/metadata.name" = var.monitoring_namespace } } }]
      } : name => from if can(rule.from)
    })]
  })
}

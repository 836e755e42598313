# How clients come in.

locals {
  ingress_spec = local.all["Ingress/push"].spec
  # all hosts go where the manifest's one goes
  ingress = merge(
    local.ingress_spec,
    {
      ingressClassName = var.ingress_class
      rules            = [for host in var.hosts : merge(local.ingress_spec.rules[0], { host = host })]
    },
    { for name, tls in { tls = [{ hosts = var.hosts, secretName = try(var.tls.secret, "") }] } : name => tls if var.tls != null },
  )
  ingress_metadata = {
    "Ingress/push" = merge(local.placed, {
      annotations = merge(
        local.all["Ingress/push"].metadata.annotations,
        { for issuer in [try(var.tls.cluster_issuer, null)] : "cert-manager.io/cluster-issuer" => issuer if issuer != null },
      )
    })
  }

  gateway = try({ for name, value in { name = var.gateway.name, namespace = var.gateway.namespace, sectionName = var.gateway.section } : name => value if value != null }, {})
  http_route = merge(try(local.all["HTTPRoute/push"].spec, {}), {
    hostnames  = var.hosts
    parentRefs = [local.gateway]
  })
}

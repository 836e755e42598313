terraform {
  required_version = ">= 1.9"

  required_providers {
    # Not hashicorp/kubernetes, whose kubernetes_manifest asks the cluster while it plans: a cluster that is made by the same
    # `terraform apply`, or a ScaledObject before KEDA is there, cannot be planned with it.  This one applies what it is given
    # as kubectl does.
    kubectl = {
      source  = "gavinbunney/kubectl"
      version = "~> 1.19"
    }
  }
}

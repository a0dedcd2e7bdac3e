# Packer: an image on top of the Elastic CI Stack's own, for Amazon Linux 2023 and Ubuntu.
#
#   packer init packaging/ami/buildwarden.pkr.hcl
#   packer build -var base_ami=ami-… -var package=build/packages/buildwarden-0.1.0-1.x86_64.rpm packaging/ami/buildwarden.pkr.hcl
#
# base_ami: the stack's image for the region (in the template's mapping AWSRegion2AMI), or an image made of it. The new image's id goes to
# the stack's parameter ImageId.
packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.0"
    }
  }
}

variable "base_ami" { type = string }
variable "package" { type = string }
variable "region" {
  type    = string
  default = "us-east-1"
}
variable "ssh_username" {
  type        = string
  default     = "ec2-user"
  description = "ec2-user on Amazon Linux, ubuntu on Ubuntu"
}
variable "instance_type" {
  type        = string
  default     = "m7i.large"
  description = "of the package's architecture"
}
variable "configuration" {
  type        = string
  default     = ""
  description = "a buildwarden.yaml; without one that of this checkout, which leaves all to the defaults and the stack's parameters"
}

locals {
  configuration = var.configuration != "" ? var.configuration : "${path.root}/../../config/buildwarden.yaml"
}

source "amazon-ebs" "stack" {
  region        = var.region
  source_ami    = var.base_ami
  instance_type = var.instance_type
  ssh_username  = var.ssh_username
  ami_name      = "elastic-ci-stack-buildwarden-${formatdate("YYYYMMDD-hhmmss", timestamp())}"
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 2
  }
}

build {
  sources = ["source.amazon-ebs.stack"]

  provisioner "file" {
    source      = var.package
    destination = "/tmp/${basename(var.package)}"
  }
  provisioner "file" {
    source      = local.configuration
    destination = "/tmp/buildwarden.yaml"
  }
  provisioner "file" {
    source      = "${path.root}/provision"
    destination = "/tmp/provision"
  }
  provisioner "shell" {
    inline = [
      "sudo systemctl start docker",
      "sudo bash /tmp/provision --package /tmp/${basename(var.package)} --config /tmp/buildwarden.yaml",
      "rm -f /tmp/provision /tmp/buildwarden.yaml /tmp/${basename(var.package)}",
    ]
  }
}

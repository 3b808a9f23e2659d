#!/usr/bin/env bash
# Installs what `npm run bench:compare` measures beside Sightline: packages of Debian 12 (and later); run as root. Nothing that is
# installed is started (RUNLEVEL=1): the benchmark starts what it needs, on loopback. proxy-chain comes with `npm ci`.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
apt-get update -qq
apt-get install -y -qq --no-install-recommends dante-server haproxy iproute2 microsocks openssh-client openssh-server openvpn \
  shadowsocks-libev squid stunnel4 tinyproxy trojan v2ray

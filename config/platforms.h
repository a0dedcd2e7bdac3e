// What emulation.platforms may name.
#pragma once

#include <array>
#include <string_view>

namespace buildwarden::config {

// After "linux/", a variant such as /v7 aside. The facts of each are those of daemon/emulation/platform.h; its test
// holds both against each other.
inline constexpr std::array<std::string_view, 10> kArchitectures = {
    "amd64", "386", "arm64", "arm", "riscv64", "ppc64le", "s390x", "mips64", "mips64le", "loong64"};

}  // namespace buildwarden::config

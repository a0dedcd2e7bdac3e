// Image references compared as the engine means them, not as people write them.
#pragma once

#include <string>
#include <string_view>

namespace buildwarden::disk {

// "docker.io/library/alpine" → "alpine:latest"; one with a digest or an id stays as it is but for the registry.
std::string normalised_reference(std::string_view reference);

}  // namespace buildwarden::disk

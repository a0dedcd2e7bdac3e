#include "daemon/disk/references.h"

namespace buildwarden::disk {
namespace {

void drop_prefix(std::string_view& text, std::string_view prefix) {
  if (text.substr(0, prefix.size()) == prefix) text.remove_prefix(prefix.size());
}

}  // namespace

std::string normalised_reference(std::string_view reference) {
  drop_prefix(reference, "docker.io/");
  drop_prefix(reference, "index.docker.io/");
  drop_prefix(reference, "library/");
  std::string name(reference);
  if (name.find('@') != std::string::npos || name.substr(0, 7) == "sha256:") return name;
  const auto slash = name.rfind('/');
  const auto colon = name.rfind(':');
  const bool tagged = colon != std::string::npos && (slash == std::string::npos || colon > slash);
  return tagged ? name : name + ":latest";
}

}  // namespace buildwarden::disk

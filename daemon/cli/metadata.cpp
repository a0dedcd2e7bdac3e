#include "daemon/cli/metadata.h"

namespace buildwarden::cli {

Result<std::string> metadata_role(const std::string& url, Duration deadline) {
  auto token = metadata_token(url, deadline);
  if (!token) return token;
  auto role = metadata_value(url, *token, "/latest/meta-data/iam/security-credentials/", deadline);
  if (!role) return role;
  return role->substr(0, role->find('\n'));
}

}  // namespace buildwarden::cli

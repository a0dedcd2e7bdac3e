// What others may know of the configuration in force.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/time.h"

namespace buildwarden::ports {

struct ConfigView {
  std::string file;                         // the YAML that is read; it need not be there
  WallTime loaded_at;                       // the one in force
  std::uint64_t taken = 0;                  // reloads since the start that were good
  std::uint64_t refused = 0;                // and that were not
  std::string error;                        // all mistakes of the last reload, one a line; "" when it was good
  std::vector<std::string> restart_needed;  // keys whose new value waits for the next start
  bool parameters_awaited = false;          // the agent is installed and cfn-env is not there: only gentle steps
};

class ConfigViews {
 public:
  virtual ~ConfigViews() = default;
  [[nodiscard]] virtual ConfigView config_view() const = 0;
};

}  // namespace buildwarden::ports

// Images that are fetched ahead of the jobs that need them.
#pragma once

#include <string>
#include <vector>

#include "daemon/policy/prefetch.h"
#include "daemon/ports/engine.h"

namespace buildwarden::ports {

class BuilderImages {
 public:
  virtual ~BuilderImages() = default;
  // Has a builder download and unpack `reference` into its cache; minutes. kNotFound: no such builder, or it does not
  // run; kInvalid: no reference. Without credentials: a builder has none of its own.
  virtual Async<void> fetch(std::string builder, std::string reference) = 0;
};

struct PrefetchView {
  std::vector<policy::PrefetchItem> items;
  std::string reason;  // what it does or waits for, one sentence
  std::string rule;
};

class PrefetchViews {
 public:
  virtual ~PrefetchViews() = default;
  [[nodiscard]] virtual PrefetchView prefetch_view() const = 0;
};

}  // namespace buildwarden::ports

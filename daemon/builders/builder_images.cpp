#include "daemon/builders/builder_images.h"

#include <algorithm>

#include "common/format.h"

namespace buildwarden::builders {

ports::Async<void> BuilderImages::fetch(std::string builder, std::string reference) {
  const auto cache =
      std::find_if(caches_.begin(), caches_.end(), [&builder](const auto* one) { return one->builder() == builder; });
  if (cache == caches_.end()) co_return Error(Errc::kNotFound, format("no builder \"{}\"", builder));
  co_return co_await (*cache)->fetch(std::move(reference));
}

}  // namespace buildwarden::builders

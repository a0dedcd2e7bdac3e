#include "daemon/builders/builder_images.h"

#include <algorithm>

#include "common/format.h"

namespace buildwarden::builders {

ports::Async<void> BuilderImages::fetch(std::string builder, std::string reference) {
  const auto caches = caches_();
  const auto cache =
      std::find_if(caches.begin(), caches.end(), [&builder](const auto* one) { return one->builder() == builder; });
  if (cache == caches.end()) co_return Error(Errc::kNotFound, format("no builder \"{}\"", builder));
  co_return co_await (*cache)->fetch(std::move(reference));
}

}  // namespace buildwarden::builders

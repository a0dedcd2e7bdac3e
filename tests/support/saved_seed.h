// A seed that a test saves and publishes.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "common/clock.h"
#include "daemon/seeds/order.h"
#include "daemon/seeds/store.h"
#include "daemon/seeds/tasks.h"

namespace buildwarden::testing {

// Of `volume`, at the place of `order`, which is left as the save needed it. Not published yet.
inline Result<seeds::Answer> save_seed(seeds::Order& order, const std::string& volume, seeds::Store& store) {
  order.volume = volume;
  auto stem = seeds::new_stem(SystemClock().now().wall);
  if (!stem) return std::move(stem).error();
  order.stem = *std::move(stem);
  return seeds::save(order, store, [](const seeds::Advance&) {});
}

inline void publish_seed(seeds::Order& order, const std::string& volume, seeds::Store& store) {
  const auto saved = save_seed(order, volume, store);
  ASSERT_TRUE(saved) << saved.error().message();
  auto published = order;
  published.manifest = *saved->manifest;
  const auto done = seeds::publish(published, store);
  ASSERT_TRUE(done) << done.error().message();
}

}  // namespace buildwarden::testing

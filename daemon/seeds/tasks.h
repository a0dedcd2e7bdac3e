// The tasks of the seeds' own process. Everything blocks.
#pragma once

#include <functional>

#include "common/result.h"
#include "daemon/seeds/order.h"
#include "daemon/seeds/store.h"

namespace buildwarden::seeds {

// Told how far it is, on any thread.
using Told = std::function<void(const Advance&)>;

// In the volume's own folder, beside `_data`: what is unpacked there is put in the place of `_data` once it is whole.
inline constexpr const char* kStaging = ".buildwarden-seed";
inline constexpr const char* kData = "_data";

Result<Answer> look(Store& store);
Result<Answer> measure_volume(const Order& order);
// Errors of pack(), and of the store.
Result<Answer> save(const Order& order, Store& store, const Told& told);
// The manifest that lies there, then parts of the seeds before the last two, and such of which no manifest was ever
// published: what is a day old.
Result<Answer> publish(const Order& order, Store& store);
// kConflict: the volume is not empty; kProtocol: a part is not what the manifest says. Nothing of it is in the volume
// then.
Result<Answer> restore(const Order& order, Store& store, const Told& told);
Result<Answer> clean(const Order& order);
Result<Answer> discard(const Order& order, Store& store);

// For the parts of a save that begins now: none that was ever used, as two instances may save at the same time. Names
// that begin so are in the order of time.
Result<std::string> new_stem(WallTime now);

}  // namespace buildwarden::seeds

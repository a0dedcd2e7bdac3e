// A thread that the kernel may refuse: the limits of a unit, or of the machine, are met.
#pragma once

#include <system_error>
#include <thread>
#include <utility>

#include "common/result.h"

namespace buildwarden {

// kIo: the kernel gives no thread (EAGAIN).
template <class Work>
Result<std::thread> begin_thread(Work work) {
  try {
    return std::thread(std::move(work));
  } catch (const std::system_error& error) {
    return Error::from_errno(error.code().value(), "begin a thread");
  }
}

}  // namespace buildwarden

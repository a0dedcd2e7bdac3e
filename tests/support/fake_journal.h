// A journal that keeps what it is told.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "daemon/ports/journal.h"

namespace buildwarden::testing {

class FakeJournal final : public ports::Journal {
 public:
  void record(ports::Event event) override { events.push_back(std::move(event)); }

  [[nodiscard]] std::size_t count(const std::string& kind) const {
    return static_cast<std::size_t>(
        std::count_if(events.begin(), events.end(), [&](const ports::Event& event) { return event.kind == kind; }));
  }
  // The last one of the kind; an empty event when there is none.
  [[nodiscard]] ports::Event last(const std::string& kind) const {
    for (auto at = events.rbegin(); at != events.rend(); ++at) {
      if (at->kind == kind) return *at;
    }
    return {};
  }

  std::vector<ports::Event> events;
};

}  // namespace buildwarden::testing

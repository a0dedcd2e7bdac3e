#include "daemon/telemetry/families.h"
#include "daemon/telemetry/family.h"

namespace buildwarden::telemetry {

void add_savings(Families& families, const ports::SavingsView& view) {
  if (!view.host) return;
  auto seconds = counters("saved_seconds_total",
                          "Seconds that what was there did not cost again when it was used: builds and pulls.");
  auto estimated = counters("saved_estimated_seconds_total",
                            "Of saved_seconds_total, the seconds that are estimated and not measured.");
  auto bytes = counters("saved_bytes_total", "Bytes that were not pulled or sent again.");
  auto regretted = counters("regretted_seconds_total",
                            "Seconds that it cost to get back what was deleted and came again within 24 hours.");
  auto guessed = counters("regretted_estimated_seconds_total",
                          "Of regretted_seconds_total, the seconds that are estimated and not measured.");
  for (const auto& one : *view.host) {
    const Labels kind = {{"kind", std::string(policy::to_string(one.kind))}};
    add(seconds, kind, one.saved.total.seconds);
    add(estimated, kind, one.saved.total.estimated_seconds);
    add(bytes, kind, one.saved.total.bytes);
    add(regretted, kind, one.regretted.total.seconds);
    add(guessed, kind, one.regretted.total.estimated_seconds);
  }
  keep(families, {&seconds, &estimated, &bytes, &regretted, &guessed});
}

}  // namespace buildwarden::telemetry

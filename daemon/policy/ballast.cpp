#include "daemon/policy/ballast.h"

#include <algorithm>
#include <utility>

#include "common/format.h"

namespace buildwarden::policy {
namespace {

constexpr Bytes kMostOf = 50;  // one fiftieth: 2 %
constexpr Bytes kUnit = kMiB;  // what is smaller is not worth a file

BallastPlan plan(BallastAct act, Bytes size, std::string rule, std::string reason) {
  return {act, size, std::move(reason), std::move(rule)};
}

BallastPlan less(const DiskSettings& settings, const BallastSituation& now, Bytes size) {
  const auto asked = settings.ballast.of(now.reading->total);
  if (size > 0) {
    return plan(BallastAct::kShrink, size, "configured",
                format("{} are held and {} are configured", format_bytes(now.held), format_bytes(size)));
  }
  if (asked <= 0) {
    return plan(now.held > 0 ? BallastAct::kRemove : BallastAct::kKeep, 0, "configured", "none is configured");
  }
  return plan(now.held > 0 ? BallastAct::kRemove : BallastAct::kKeep, 0, "too_small",
              format("2% of {} is less than {}", format_bytes(now.reading->total), format_bytes(kUnit)));
}

BallastPlan more(const BallastSituation& now, Bytes size) {
  const auto wanted = now.marks.target + size - now.held;
  const auto keep = [&now](std::string rule, std::string reason) {
    return plan(BallastAct::kKeep, now.held, std::move(rule), std::move(reason));
  };
  if (!now.wishes_known) return keep("wishes_unknown", "it waits until the operator's wishes are known");
  const auto figures = format("{} are free, and {} above the target of {} ", format_bytes(now.reading->free),
                              format_bytes(size - now.held), format_bytes(now.marks.target));
  if (now.level != Level::kOk || now.reclaim || now.reading->free < wanted) {
    return keep("not_enough", figures + "must be before it is made");
  }
  return plan(BallastAct::kMake, size, "enough", figures + "are wanted for it");
}

}  // namespace

Bytes ballast_size(const DiskSettings& settings, Bytes total) {
  const auto size = std::min(settings.ballast.of(total), std::max<Bytes>(total, 0) / kMostOf);
  return size / kUnit * kUnit;
}

BallastPlan plan_ballast(const DiskSettings& settings, const BallastSituation& situation) {
  const auto& now = situation;
  if (!now.reading || now.level == Level::kUnknown) {
    return plan(BallastAct::kKeep, now.held, "level_unknown", "the filesystem's level is not known");
  }
  const auto size = ballast_size(settings, now.reading->total);
  if (now.level == Level::kExhausted && is_exhausted(*now.reading)) {
    const auto left = format("{} of {} are free", format_bytes(now.reading->free), format_bytes(now.reading->total));
    if (now.held > 0) return plan(BallastAct::kGive, 0, "exhausted", left);
    return plan(BallastAct::kKeep, 0, "given", left + ", and there is nothing to give back");
  }
  if (size < now.held || size == 0) return less(settings, now, size);
  if (size - now.held >= kUnit) return more(now, size);
  return plan(BallastAct::kKeep, now.held, "held", format("{} are held", format_bytes(now.held)));
}

}  // namespace buildwarden::policy

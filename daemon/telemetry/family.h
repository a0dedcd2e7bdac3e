// Making one metric family.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace buildwarden::telemetry {

using Labels = std::vector<prometheus::ClientMetric::Label>;

// `name` without the prefix; the help says the unit and ends with a full stop.
inline prometheus::MetricFamily family(std::string name, std::string help, prometheus::MetricType type) {
  prometheus::MetricFamily made;
  made.name = "buildwarden_" + std::move(name);
  made.help = std::move(help);
  made.type = type;
  return made;
}

inline prometheus::MetricFamily gauges(std::string name, std::string help) {
  return family(std::move(name), std::move(help), prometheus::MetricType::Gauge);
}

inline prometheus::MetricFamily counters(std::string name, std::string help) {
  return family(std::move(name), std::move(help), prometheus::MetricType::Counter);
}

template <class Number>
void add(prometheus::MetricFamily& to, Labels labels, Number value) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  if (to.type == prometheus::MetricType::Counter) {
    metric.counter.value = static_cast<double>(value);
  } else {
    metric.gauge.value = static_cast<double>(value);
  }
  to.metric.push_back(std::move(metric));
}

// A room counts each bucket by itself, one more than there are upper bounds; the format wants them cumulated, the last
// one without a bound.
template <class Buckets, class Bounds>
prometheus::ClientMetric histogram_metric(Labels labels, const Buckets& buckets, const Bounds& bounds, double sum) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    total += buckets[i];
    prometheus::ClientMetric::Bucket bucket;
    bucket.cumulative_count = total;
    bucket.upper_bound = i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
    metric.histogram.bucket.push_back(bucket);
  }
  metric.histogram.sample_count = total;
  metric.histogram.sample_sum = sum;
  return metric;
}

// A family without series is left out: the text format has no use for its header.
inline void keep(std::vector<prometheus::MetricFamily>& families,
                 std::initializer_list<prometheus::MetricFamily*> made) {
  for (auto* one : made) {
    if (!one->metric.empty()) families.push_back(std::move(*one));
  }
}

}  // namespace buildwarden::telemetry

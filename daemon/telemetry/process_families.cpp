#include "daemon/telemetry/process_families.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <string_view>

#include "common/atomic_file.h"
#include "daemon/telemetry/family.h"

namespace buildwarden::telemetry {
namespace {

using Families = std::vector<prometheus::MetricFamily>;

struct ProcessStat {
  double cpu_seconds = 0;
  double started = 0;  // seconds after the boot
  double virtual_bytes = 0;
  double resident_bytes = 0;
};

// proc(5), /proc/[pid]/stat: what follows the name, which may have blanks and brackets, from the third field on.
std::optional<ProcessStat> process_stat() {
  const auto text = read_file("/proc/self/stat");
  const auto end = text ? text->rfind(')') : std::string::npos;
  if (end == std::string::npos) return std::nullopt;
  constexpr std::size_t kFirstAfterName = 3;
  constexpr std::size_t kUserTimeField = 14;
  constexpr std::size_t kStartField = 22;
  std::array<double, 25> field{};
  std::istringstream rest(text->substr(end + 1));
  std::string word;
  for (std::size_t number = kFirstAfterName; number < field.size(); ++number) {
    if (!(rest >> word)) return std::nullopt;
    if (number >= kUserTimeField) field.at(number) = std::strtod(word.c_str(), nullptr);
  }
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  ProcessStat stat;
  stat.cpu_seconds = (field[kUserTimeField] + field[kUserTimeField + 1]) / ticks;
  stat.started = field[kStartField] / ticks;
  stat.virtual_bytes = field[kStartField + 1];
  stat.resident_bytes = field[kStartField + 2] * static_cast<double>(::getpagesize());
  return stat;
}

// The number after `name` at the beginning of a line of that file.
std::optional<double> number_in(const std::string& path, std::string_view name) {
  const auto text = read_file(path);
  if (!text) return std::nullopt;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name)) return std::strtod(line.c_str() + name.size(), nullptr);
  }
  return std::nullopt;
}

// Asked one by one, up to the size of the process's table, which the kernel doubles as it is needed.
std::optional<int> open_descriptors() {
  const auto table = number_in("/proc/self/status", "FDSize:");
  if (!table) return std::nullopt;
  int count = 0;
  for (int one = 0; one < static_cast<int>(*table); ++one) count += ::fcntl(one, F_GETFD) != -1 ? 1 : 0;
  return count;
}

void add_one(Families& families, prometheus::MetricFamily one, double value) {
  one.name.erase(0, std::string_view("buildwarden_").size());
  add(one, {}, value);
  families.push_back(std::move(one));
}

}  // namespace

void add_process(Families& families) {
  if (const auto stat = process_stat()) {
    add_one(families, counters("process_cpu_seconds_total", "User and system time of the process, in seconds."),
            stat->cpu_seconds);
    add_one(families, gauges("process_resident_memory_bytes", "Memory of the process that is resident, in bytes."),
            stat->resident_bytes);
    add_one(families, gauges("process_virtual_memory_bytes", "Virtual memory of the process, in bytes."),
            stat->virtual_bytes);
    const auto booted = number_in("/proc/stat", "btime ");
    if (booted) {
      add_one(families, gauges("process_start_time_seconds", "When the process began, in seconds since 1970."),
              *booted + stat->started);
    }
  }
  if (const auto open = open_descriptors()) {
    add_one(families, gauges("process_open_fds", "File descriptors that are open."), *open);
  }
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    add_one(families, gauges("process_max_fds", "File descriptors that may be open."),
            static_cast<double>(limit.rlim_cur));
  }
}

}  // namespace buildwarden::telemetry

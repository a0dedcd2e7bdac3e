#include "tests/support/worth_days.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <random>
#include <tuple>
#include <utility>

#include "common/format.h"

namespace buildwarden::testing {
namespace {

constexpr double kHour = 3600;
constexpr double kDay = 24 * kHour;

// What makes one kind of day unlike another; drawn from the seed within the kind's bounds.
struct Shape {
  double days = 3;
  int pipelines = 60;
  double popularity = 1.0;  // exponent of Zipf's law over the pipelines
  double jobs_per_hour = 60;
  double calm = 0.5;  // how much less happens at night, 0 to 1
  int bases = 25;
  double base_life = 30 * kDay;  // mean time until a base image is made anew
  int fewest_layers = 4;
  int most_layers = 9;
  double commits = 0.7;  // share of the jobs that bring a new commit
  double change = 0.5;   // probability that a commit changes the last layer; less for those below
  double branches = 2;   // that are alive beside the main one
  double branch_life = 12 * kHour;
  double on_branch = 0.3;       // share of the jobs
  double cost_spread = 1.4;     // sigma of the log-normal costs
  double bytes_spread = 1.3;    // and sizes
  double nightly = 0.05;        // share of the pipelines that run once a night
  double hourly = 0.0;          // and every few hours
  double heavy = 1;             // how much dearer those of the night are
  double services = 0.3;        // share of the pipelines that run a service's image beside
  double loads = 0.3;           // share that leaves what it built in the engine
  bool has_same_texts = false;  // all pipelines' Dockerfiles read alike
  double shared_layers = 0;     // share of a pipeline's layers that all of its base have in common
};

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  double between(double low, double high) { return low + (high - low) * unit(); }
  int whole(int low, int high) { return low + static_cast<int>(unit() * (high - low + 1)); }
  bool chance(double probability) { return unit() < probability; }
  double wait(double mean) { return -mean * std::log(1 - unit()); }
  // Median 1.
  double log_normal(double sigma) {
    return std::exp(sigma * std::sqrt(-2 * std::log(1 - unit())) * std::cos(2 * std::numbers::pi * unit()));
  }

 private:
  // Not a distribution of the library, whose numbers are not the same everywhere.
  double unit() { return static_cast<double>(engine_() >> 11U) * 0x1p-53; }
  std::mt19937_64 engine_;
};

Shape any_shape(Dice& dice) {
  Shape shape;
  shape.days = dice.between(3, 4);
  shape.pipelines = dice.whole(30, 70);
  shape.popularity = dice.between(0.6, 1.3);
  shape.jobs_per_hour = dice.between(40, 120);
  shape.calm = dice.between(0, 0.9);
  shape.bases = dice.whole(8, 30);
  shape.base_life = dice.between(4, 30) * kDay;
  shape.commits = dice.between(0.4, 0.9);
  shape.change = dice.between(0.4, 0.95);
  shape.branches = dice.between(0.5, 2);
  shape.branch_life = dice.between(4, 30) * kHour;
  shape.on_branch = dice.between(0, 0.15);
  shape.cost_spread = dice.between(0.8, 1.3);
  shape.bytes_spread = dice.between(0.7, 1.3);
  shape.nightly = dice.between(0, 0.1);
  shape.hourly = dice.between(0, 0.05);
  shape.services = dice.between(0.1, 0.5);
  shape.loads = dice.between(0, 0.5);
  return shape;
}

Result<Shape> shape_of(std::string_view kind, Dice& dice) {
  auto shape = any_shape(dice);
  if (kind == "monorepo") {
    shape.pipelines = dice.whole(8, 20);
    shape.bases = dice.whole(2, 5);
    shape.most_layers = dice.whole(9, 14);
    shape.branches = dice.between(1.5, 5);
    shape.on_branch = dice.between(0.2, 0.5);
    shape.shared_layers = dice.between(0.3, 0.6);
  } else if (kind == "small") {
    shape.pipelines = dice.whole(70, 140);
    shape.most_layers = dice.whole(5, 7);
  } else if (kind == "branches") {
    shape.branches = dice.between(1.5, 4);
    shape.on_branch = dice.between(0.3, 0.6);
  } else if (kind == "nightly") {
    shape.nightly = dice.between(0.2, 0.5);
    shape.hourly = dice.between(0.05, 0.2);
    shape.heavy = dice.between(1, 5);
  } else if (kind == "renewed") {
    shape.base_life = dice.between(8, 40) * kHour;
  } else if (kind == "same") {
    shape.has_same_texts = true;
    shape.bases = dice.whole(2, 6);
  } else {
    return Error(Errc::kInvalid, format("\"{}\" is no kind of day", kind));
  }
  return shape;
}

// A step of a Dockerfile.
struct Layer {
  std::string text;
  double bytes = 0;
  double seconds = 0;
  double change = 0;  // probability that a commit changes what it does
  int shared = -1;    // number among the steps that all pipelines of one base have; -1: its own
};

// What a branch has of each layer: the number of a version.
using Content = std::vector<std::uint64_t>;

struct Branch {
  Content content;
  double ends = 0;
};

struct Pipeline {
  std::string name;
  int base = 0;
  std::vector<Layer> layers;
  Content main;
  std::vector<Branch> branches;
  double next = 0;    // of a scheduled one: its next job
  double every = 0;   // 0: runs when somebody commits
  double weight = 0;  // among those
  int service = -1;
  bool loads = false;
};

struct Image {
  std::string name;
  std::string id;
  Bytes bytes = 0;
  double seconds = 0;
  double renewed = 0;  // when it is made anew
};

class Host {
 public:
  Host(Shape shape, Dice dice) : shape_(shape), dice_(dice) {
    for (int i = 0; i < shape_.bases; ++i) bases_.push_back(image(format("base-{}", i), shape_.base_life));
    for (int i = 0; i < shape_.bases / 2 + 2; ++i) services_.push_back(image(format("service-{}", i), 20 * kDay));
    for (int i = 0; i < shape_.pipelines; ++i) pipelines_.push_back(pipeline(i));
  }

  Trace run() {
    Trace trace;
    double now = 0;
    double next = wait(now);
    while (true) {
      auto* scheduled = &*std::min_element(pipelines_.begin(), pipelines_.end(), is_earlier);
      const bool is_scheduled = scheduled->every > 0 && scheduled->next < next;
      now = is_scheduled ? scheduled->next : next;
      if (now > shape_.days * kDay) return trace;
      auto& runs = is_scheduled ? *scheduled : drawn();
      if (is_scheduled) scheduled->next += scheduled->every + dice_.between(-0.01, 0.01) * scheduled->every;
      if (!is_scheduled) next = wait(now);
      trace.push_back(job(runs, now));
    }
  }

 private:
  static bool is_earlier(const Pipeline& one, const Pipeline& other) {
    return std::tuple(one.every == 0, one.next) < std::tuple(other.every == 0, other.next);
  }

  double wait(double now) {
    const auto busy = 1 - shape_.calm * 0.5 * (1 + std::cos(2 * std::numbers::pi * (now - 3 * kHour) / kDay));
    return now + std::min(dice_.wait(kHour / (shape_.jobs_per_hour * std::max(busy, 0.05))), 6 * kHour);
  }

  Image image(std::string name, double life) {
    Image made{std::move(name), format("i{}", ++images_), 0, 0, dice_.wait(life)};
    const auto bytes = std::clamp(3e8 * dice_.log_normal(shape_.bytes_spread * 0.7), 5e6, 6e9);
    made.bytes = static_cast<Bytes>(bytes);
    made.seconds = 1 + bytes / 6e7 * dice_.log_normal(0.6);
    return made;
  }

  Layer layer(int pipeline, int at, int count, double heavy) {
    Layer made;
    const auto whose = shape_.has_same_texts ? std::string("app") : format("p{}", pipeline);
    made.text = format("[{}/{}] RUN step {} of {}", at + 2, count + 1, at, whose);
    made.bytes = std::clamp(2.5e7 * dice_.log_normal(shape_.bytes_spread * 1.2), 1e4, 8e9);
    made.seconds = std::clamp(6 * heavy * dice_.log_normal(shape_.cost_spread), 0.1, 3000.0);
    made.change = shape_.change * std::pow(static_cast<double>(at + 1) / count, dice_.between(1.5, 4));
    return made;
  }

  Pipeline pipeline(int number) {
    Pipeline made;
    made.name = format("p{}", number);
    made.base = dice_.whole(0, shape_.bases - 1);
    made.weight = 1 / std::pow(number + 1, shape_.popularity);
    schedule(made);
    const auto count = dice_.whole(shape_.fewest_layers, shape_.most_layers);
    const auto shared = static_cast<int>(shape_.shared_layers * count);
    for (int at = 0; at < count; ++at) {
      made.layers.push_back(at < shared ? shared_layer(made.base, at) : layer(number, at, count, heavy(made)));
      made.main.push_back(at < shared ? shared_content_[{made.base, at}] : ++versions_);
    }
    if (dice_.chance(shape_.services)) made.service = dice_.whole(0, static_cast<int>(services_.size()) - 1);
    made.loads = dice_.chance(shape_.loads);
    return made;
  }

  double heavy(const Pipeline& made) const { return made.every >= kDay ? shape_.heavy : 1; }

  void schedule(Pipeline& made) {
    if (dice_.chance(shape_.nightly)) {
      made.every = kDay;
      made.next = dice_.between(0, 5) * kHour;
    } else if (dice_.chance(shape_.hourly)) {
      made.every = dice_.whole(1, 6) * kHour;
      made.next = dice_.between(0, made.every);
    }
  }

  Layer shared_layer(int base, int at) {
    const auto key = std::pair(base, at);
    if (const auto known = shared_.find(key); known != shared_.end()) return known->second;
    auto made = layer(1000 + base, at, 12, 1);
    made.shared = at;
    shared_content_[key] = ++versions_;
    return shared_[key] = made;
  }

  Pipeline& drawn() {
    double all = 0;
    for (const auto& pipeline : pipelines_) all += pipeline.every > 0 ? 0 : pipeline.weight;
    auto at = dice_.between(0, all);
    for (auto& pipeline : pipelines_) {
      if (pipeline.every > 0) continue;
      at -= pipeline.weight;
      if (at <= 0) return pipeline;
    }
    return pipelines_.back();
  }

  // A branch has a main of its own until it ends; what it changed then comes to the main one.
  Content& content(Pipeline& runs, double now) {
    std::erase_if(runs.branches, [&](const Branch& branch) {
      const bool is_over = branch.ends < now;
      if (is_over) runs.main = branch.content;
      return is_over;
    });
    if (runs.every > 0 || !dice_.chance(shape_.on_branch)) return runs.main;
    const auto wanted = static_cast<std::size_t>(std::max(1.0, shape_.branches + 0.5));
    if (runs.branches.size() < wanted) {
      runs.branches.push_back({runs.main, now + dice_.wait(shape_.branch_life)});
      return runs.branches.back().content;
    }
    return runs.branches[static_cast<std::size_t>(dice_.whole(0, static_cast<int>(wanted) - 1))].content;
  }

  void commit(const Pipeline& runs, Content& content) {
    for (std::size_t i = 0; i < content.size(); ++i) {
      if (dice_.chance(runs.layers[i].change)) content[i] = ++versions_;
    }
  }

  TracedJob job(Pipeline& runs, double now) {
    TracedJob made{now, format("{}-{}", runs.name, ++jobs_), {}};
    auto& content = this->content(runs, now);
    if (dice_.chance(shape_.commits)) commit(runs, content);
    touch_image(made, bases_[static_cast<std::size_t>(runs.base)], shape_.base_life);
    if (runs.service >= 0) touch_image(made, services_[static_cast<std::size_t>(runs.service)], 20 * kDay);
    auto below = bases_[static_cast<std::size_t>(runs.base)].id;
    std::vector<std::string> parents;
    for (std::size_t i = 0; i < content.size(); ++i) {
      made.touches.push_back(record({below, content[i]}, runs.layers[i], parents));
      below = made.touches.back().id;
      parents = {below};
    }
    if (runs.loads) made.touches.push_back(built(runs, below, made.job));
    return made;
  }

  void touch_image(TracedJob& made, Image& which, double life) {
    if (made.at > which.renewed) {
      which.id = format("i{}", ++images_);
      which.renewed = made.at + dice_.wait(life);
    }
    made.touches.push_back(
        {policy::ThingKind::kImage, which.id, which.name + ":1", "", {}, which.bytes, which.seconds});
  }

  Touch record(const std::pair<std::string, std::uint64_t>& key, const Layer& layer,
               const std::vector<std::string>& parents) {
    auto& known = records_[key];
    if (known.id.empty()) {
      known.kind = policy::ThingKind::kCache;
      known.id = format("r{}", records_.size());
      known.description = layer.text;
      known.parents = parents;
      known.bytes = static_cast<Bytes>(layer.bytes * dice_.log_normal(0.15));
      known.cost_seconds = layer.seconds * dice_.log_normal(0.15);
    }
    return known;
  }

  Touch built(const Pipeline& runs, const std::string& top, const std::string& job) {
    auto& known = built_[top];
    if (known.id.empty()) {
      known.kind = policy::ThingKind::kImage;
      known.id = format("b{}", built_.size());
      known.name = format("{}:{}", runs.name, job.substr(job.find('-') + 1));
      known.bytes = static_cast<Bytes>(runs.layers.back().bytes * dice_.between(1, 3));
      known.cost_seconds = 1 + static_cast<double>(known.bytes) / 2e8;
    }
    return known;
  }

  Shape shape_;
  Dice dice_;
  std::vector<Image> bases_;
  std::vector<Image> services_;
  std::vector<Pipeline> pipelines_;
  std::map<std::pair<int, int>, Layer> shared_;
  std::map<std::pair<int, int>, std::uint64_t> shared_content_;
  std::map<std::pair<std::string, std::uint64_t>, Touch> records_;  // by what they are built on, and their version
  std::map<std::string, Touch> built_;                              // by the record that they end with
  std::uint64_t versions_ = 0;
  int images_ = 0;
  int jobs_ = 0;
};

}  // namespace

Result<Trace> make_days(std::string_view kind, std::uint64_t seed) {
  std::uint64_t mixed = seed * 0x9E3779B97F4A7C15U;
  for (const auto c : kind) mixed = (mixed ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
  Dice dice(mixed);
  const auto shape = shape_of(kind, dice);
  if (!shape) return shape.error();
  return Host(*shape, dice).run();
}

}  // namespace buildwarden::testing

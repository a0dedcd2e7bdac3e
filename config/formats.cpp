#include "config/formats.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/format.h"
#include "config/text.h"

namespace buildwarden::config {
namespace {

Error wrong(std::string text) { return {Errc::kInvalid, std::move(text)}; }

template <class T>
using Word = std::pair<const char*, T>;

template <class T>
Format<T> words(const std::vector<Word<T>>& all) {
  Format<T> f;
  for (const auto& [word, value] : all) f.hint += (f.hint.empty() ? "" : " or ") + std::string(word);
  f.parse = [all](std::string_view text) -> Result<T> {
    for (const auto& [word, value] : all) {
      if (text == word) return value;
    }
    return wrong("is not one of the words known here");
  };
  f.show = [all](const T& value) -> std::string {
    for (const auto& [word, meant] : all) {
      if (meant == value) return word;
    }
    return "";
  };
  return f;
}

}  // namespace

Format<bool> boolean() {
  auto f = words<bool>({{"true", true}, {"false", false}});
  f.bare_only = true;
  return f;
}

Format<OnForeign> on_foreign() {
  return words<OnForeign>({{"refuse", OnForeign::kRefuse}, {"adopt", OnForeign::kAdopt}});
}

Format<CacheType> cache_type() {
  return words<CacheType>({{"none", CacheType::kNone}, {"s3", CacheType::kS3}, {"registry", CacheType::kRegistry}});
}

Format<SeedSave> seed_save() {
  return words<SeedSave>({{"never", SeedSave::kNever}, {"idle", SeedSave::kIdle}, {"drain", SeedSave::kDrain}});
}

Format<Bytes> size(Bytes least) {
  Format<Bytes> f;
  f.hint = format("a size of at least {} such as 20GiB", format_amount(Amount::bytes(least)));
  f.parse = [least](std::string_view text) -> Result<Bytes> {
    auto value = parse_bytes(text);
    if (!value) return wrong("is not a size");
    // Nobody means bytes by it.
    if (!text.empty() && text.back() >= '0' && text.back() <= '9') return wrong("has no unit");
    if (*value < least) return wrong("is out of range");
    return value;
  };
  f.show = [](const Bytes& value) { return format_amount(Amount::bytes(value)); };
  return f;
}
Format<RankBy> rank_by() { return words<RankBy>({{"value", RankBy::kValue}, {"last_use", RankBy::kLastUse}}); }

Format<std::string> one_of(const std::vector<std::string>& all) {
  Format<std::string> f;
  for (const auto& word : all) f.hint += (f.hint.empty() ? "" : " or ") + word;
  f.parse = [all](std::string_view text) -> Result<std::string> {
    if (std::find(all.begin(), all.end(), text) == all.end()) return wrong("is not one of the words known here");
    return std::string(text);
  };
  f.show = [](const std::string& value) { return yaml_spelling(value); };
  return f;
}

Format<std::int64_t> integer(std::int64_t least, std::int64_t most) {
  Format<std::int64_t> f;
  f.hint = format("a whole number from {} to {}", least, most);
  f.parse = [least, most](std::string_view text) -> Result<std::int64_t> {
    std::int64_t value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool complete = !text.empty() && end == text.data() + text.size();
    if (!complete || ec == std::errc::invalid_argument) return wrong("is not a whole number");
    if (ec != std::errc{} || value < least || value > most) return wrong("is out of range");
    return value;
  };
  f.show = [](const std::int64_t& value) { return format("{}", value); };
  f.bare_only = true;
  return f;
}

Format<Duration> duration(Duration least, Duration most) {
  Format<Duration> f;
  f.hint =
      format("a duration from {} to {} such as 90s, 4h, 7d or 1h30m", format_duration(least), format_duration(most));
  f.parse = [least, most](std::string_view text) -> Result<Duration> {
    auto value = parse_duration(text);
    if (!value) return wrong("is not a duration");
    if (*value < least || *value > most) return wrong("is out of range");
    return value;
  };
  f.show = [](const Duration& value) { return format_duration(value); };
  return f;
}

Format<Amount> amount(bool zero) {
  Format<Amount> f;
  f.hint = zero ? "a size such as 5GiB or a share below 100% such as 15%"
                : "a size above 0 such as 5GiB or a share above 0% and below 100% such as 15%";
  f.parse = [zero](std::string_view text) -> Result<Amount> {
    auto value = parse_amount(text);
    if (!value) return wrong("is neither a size nor a share");
    // Nobody means bytes by it.
    const bool bare = !text.empty() && text.back() >= '0' && text.back() <= '9';
    if (bare && value->absolute() != 0) return wrong("has no unit");
    const bool nothing = value->is_share() ? value->of_one() <= 0 : value->absolute() == 0;
    if ((nothing && !zero) || (value->is_share() && value->of_one() >= 1)) return wrong("is out of range");
    return value;
  };
  f.show = [](const Amount& value) { return format_amount(value); };
  return f;
}

}  // namespace buildwarden::config

#include "daemon/policy/image_names.h"

#include <algorithm>

namespace buildwarden::policy {
namespace {

constexpr std::string_view kHub = "docker.io/";
constexpr std::string_view kOldHub = "index.docker.io/";
constexpr std::string_view kOfficial = "library/";
constexpr std::string_view kIdPrefix = "sha256:";
constexpr std::size_t kIdDigits = 64;
constexpr std::size_t kFewestKeptDigits = 4;  // with fewer a short word would be one image of sixteen

bool drop_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// Where the tag's colon is, in a name without a digest; npos: there is none.
std::size_t tag_of(std::string_view name) {
  const auto colon = name.rfind(':');
  const auto slash = name.rfind('/');
  return colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash) ? colon
                                                                                               : std::string_view::npos;
}

// "name:tag@sha256:…" → "name@sha256:…".
std::string without_idle_tag(std::string_view reference) {
  const auto at = reference.find('@');
  if (at == std::string_view::npos) return std::string(reference);
  const auto name = reference.substr(0, at);
  return std::string(name.substr(0, tag_of(name))).append(reference.substr(at));
}

std::string_view bare_name(std::string_view reference) {
  const auto name = reference.substr(0, reference.find('@'));
  return name.substr(0, tag_of(name));
}

bool is_of_hub(std::string_view name) {
  const auto slash = name.find('/');
  if (slash == std::string_view::npos) return true;
  const auto first = name.substr(0, slash);
  return first.find_first_of(".:") == std::string_view::npos && first != "localhost";
}

// "idle:1" → "docker.io/library/idle:1"; one of another registry stays as it is.
std::string whole_name(std::string_view reference) {
  const auto name = bare_name(reference);
  if (!is_of_hub(name)) return std::string(reference);
  std::string whole(kHub);
  if (name.find('/') == std::string_view::npos) whole += kOfficial;
  return whole.append(reference);
}

// What a pattern means, for names as the engine shows them and for whole ones.
std::vector<std::string> spellings_of(std::string_view pattern) {
  std::vector<std::string> spellings{without_idle_tag(pattern)};
  std::string_view rest = spellings.front();
  const bool is_hub = drop_prefix(rest, kOldHub) || drop_prefix(rest, kHub);
  if (!is_hub && !rest.starts_with(kOfficial)) return spellings;
  std::vector<std::string> whole{std::string(kHub).append(rest)};
  if (rest.find('/') == std::string_view::npos) whole.push_back(std::string(kHub).append(kOfficial).append(rest));
  spellings.insert(spellings.end(), whole.begin(), whole.end());
  return spellings;
}

bool matches_any(const std::vector<std::string>& spellings, std::string_view name) {
  const auto bare = bare_name(name);
  return std::any_of(spellings.begin(), spellings.end(), [&](const std::string& spelling) {
    return glob_matches(spelling, name) || glob_matches(spelling, bare);
  });
}

}  // namespace

std::string normalised_reference(std::string_view reference) {
  if (!drop_prefix(reference, kOldHub)) drop_prefix(reference, kHub);
  drop_prefix(reference, kOfficial);
  if (reference.find('@') != std::string_view::npos) return without_idle_tag(reference);
  std::string name(reference);
  if (reference.starts_with(kIdPrefix) || tag_of(reference) != std::string_view::npos) return name;
  return name + ":latest";
}

std::optional<std::string> id_start(std::string_view text) {
  drop_prefix(text, kIdPrefix);
  const bool is_id =
      !text.empty() && text.size() <= kIdDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  if (!is_id) return std::nullopt;
  return std::string(kIdPrefix).append(text);
}

bool glob_matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;  // the last one seen
  std::size_t resume = 0;                     // where its run of characters ends so far
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

KeepPatterns::KeepPatterns(const std::vector<std::string>& patterns) {
  for (const auto& written : patterns) {
    Pattern pattern{written, spellings_of(written), ""};
    const auto id = id_start(written);
    if (id && id->size() >= kIdPrefix.size() + kFewestKeptDigits) pattern.id = *id;
    patterns_.push_back(std::move(pattern));
  }
}

std::optional<KeepPatterns::Match> KeepPatterns::match(const std::vector<std::string>& names,
                                                       std::string_view id) const {
  if (patterns_.empty()) return std::nullopt;
  const bool is_image = id.starts_with(kIdPrefix);
  for (const auto& pattern : patterns_) {
    const bool by_id = is_image && ((!pattern.id.empty() && id.starts_with(pattern.id)) ||
                                    (pattern.written.starts_with(kIdPrefix) && glob_matches(pattern.written, id)));
    if (by_id) return Match{std::string(id), pattern.written};
  }
  for (const auto& name : names) {
    const auto whole = whole_name(name);
    for (const auto& pattern : patterns_) {
      if (matches_any(pattern.spellings, name) || matches_any(pattern.spellings, whole)) {
        return Match{name, pattern.written};
      }
    }
  }
  return std::nullopt;
}

}  // namespace buildwarden::policy

#include "daemon/cli/mistake.h"

#include <algorithm>

#include "common/format.h"
#include "common/nearest.h"
#include "common/text_list.h"
#include "common/visible_text.h"

namespace buildwarden::cli {
namespace {

const CLI::App* subcommand_of(const CLI::App& app, const std::string& name) {
  const auto some = app.get_subcommands([&](const CLI::App* one) { return one->get_name() == name; });
  return some.empty() ? nullptr : some.front();
}

std::vector<std::string> subcommands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* one : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(one->get_name());
  return names;
}

// Of the command and of those above it, whose options may stand after it.
std::vector<std::string> options_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* level = &app; level != nullptr; level = level->get_parent()) {
    for (const auto* option : level->get_options()) {
      for (const auto& name : option->get_lnames()) names.push_back("--" + name);
      for (const auto& name : option->get_snames()) names.push_back("-" + name);
    }
  }
  return names;
}

const CLI::Option* option_of(const CLI::App& app, const std::string& name) {
  for (const auto* level = &app; level != nullptr; level = level->get_parent()) {
    for (const auto* option : level->get_options()) {
      if (option->check_name(name)) return option;
    }
  }
  return nullptr;
}

std::string meant(const std::string& word, const std::vector<std::string>& known) {
  const auto close = nearest(word, known);
  return close.empty() ? "" : format("; did you mean {}?", close);
}

std::size_t positionals_of(const CLI::App& app) {
  const auto options = app.get_options([](const CLI::Option* one) { return one->get_positional(); });
  return options.size();
}

// "buildwarden disk reclaim"; "" of none.
std::string full_name(const CLI::App* app) {
  std::vector<std::string> names;
  for (const auto* level = app; level != nullptr; level = level->get_parent()) names.push_back(level->get_name());
  std::reverse(names.begin(), names.end());
  return join(names, " ");
}

// One walk over what was typed, from command to subcommand.
class Walk {
 public:
  explicit Walk(const CLI::App& app) : at_(&app) {}

  // What is wrong with this word; "" when it is known.
  std::string take(const std::string& word) {
    if (wants_value_) {
      wants_value_ = false;
      return "";
    }
    if (word.size() > 1 && word.front() == '-') return take_option(word);
    if (const auto* next = subcommand_of(*at_, word)) {
      at_ = next;
      values_ = 0;
      return "";
    }
    if (values_ < positionals_of(*at_)) {
      ++values_;
      return "";
    }
    const auto names = subcommands_of(*at_);
    if (names.empty()) return format("\"{}\" is one word too many for {}", visible(word), name());
    return format("\"{}\" is no command of {}{}", visible(word), name(), meant(word, names));
  }

  [[nodiscard]] const CLI::App& at() const { return *at_; }

 private:
  std::string take_option(const std::string& word) {
    auto named = word.substr(0, word.find('='));
    const auto* option = option_of(*at_, named);
    const bool is_attached = option == nullptr && word[1] != '-' && word.size() > 2;  // "-n5"
    if (is_attached) option = option_of(*at_, named = word.substr(0, 2));
    if (option == nullptr) {
      return format("\"{}\" is no option of {}{}", visible(named), name(), meant(named, options_of(*at_)));
    }
    if (is_attached) return "";
    wants_value_ = option->get_items_expected_min() > 0 && option->get_type_size() > 0 && named == word;
    return "";
  }

  [[nodiscard]] std::string name() const { return full_name(at_); }

  const CLI::App* at_;
  bool wants_value_ = false;
  std::size_t values_ = 0;
};

}  // namespace

std::string unknown_word(const CLI::App& app, const std::vector<std::string>& arguments) {
  Walk walk(app);
  for (const auto& word : arguments) {
    if (word == "--") return "";
    auto wrong = walk.take(word);
    if (!wrong.empty()) return wrong;
  }
  return "";
}

std::string help_of(const CLI::App& app, const std::vector<std::string>& arguments) {
  Walk walk(app);
  for (const auto& word : arguments) {
    if (word == "--" || !walk.take(word).empty()) break;
  }
  return walk.at().help(full_name(walk.at().get_parent()));
}

}  // namespace buildwarden::cli

#include "daemon/cli/progress.h"

#include "common/visible_text.h"

namespace buildwarden::cli {
namespace {

constexpr std::string_view kClearLine = "\r\x1b[K";
constexpr std::size_t kLineWidth = 78;  // a line that wraps could not be taken back

}  // namespace

void Progress::line(std::string_view text) {
  if (where_ == Where::kErrorLines) {
    complain(context_, text);
    return;
  }
  if (!context_.out_is_terminal || context_.json) return;
  context_.out(kClearLine);
  context_.out(visible(text).substr(0, kLineWidth));
  shown_ = true;
}

void Progress::clear() {
  if (shown_) context_.out(kClearLine);
  shown_ = false;
}

}  // namespace buildwarden::cli

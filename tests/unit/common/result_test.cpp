#include "common/result.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

namespace buildwarden {
namespace {

TEST(Result, HoldsAValue) {
  Result<int> result(7);
  EXPECT_TRUE(result.ok());
  EXPECT_TRUE(static_cast<bool>(result));
  EXPECT_EQ(*result, 7);
  EXPECT_EQ(std::move(result).value_or(1), 7);
}

TEST(Result, HoldsAnError) {
  Result<int> result(Error(Errc::kTimeout, "too slow"));
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Errc::kTimeout);
  EXPECT_EQ(result.error().message(), "too slow");
  EXPECT_EQ(std::move(result).value_or(1), 1);
}

TEST(Result, TheWrongSideThrows) {
  EXPECT_THROW((void)*Result<int>(Error(Errc::kIo, "x")), std::bad_variant_access);
  EXPECT_THROW((void)Result<int>(1).error(), std::bad_variant_access);
  EXPECT_THROW((void)Result<void>().error(), std::bad_variant_access);
}

TEST(Result, MovesAValueThatCannotBeCopied) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(5));
  const std::unique_ptr<int> taken = *std::move(result);
  EXPECT_EQ(*taken, 5);
}

TEST(Result, AnErrorValueTypeIsDistinct) {
  // A Result of a string must not take an Error for a value or the other way round.
  const Result<std::string> value(std::string("text"));
  const Result<std::string> error(Error(Errc::kInvalid, "text"));
  EXPECT_TRUE(value.ok());
  EXPECT_FALSE(error.ok());
}

TEST(Result, ContextGoesInFrontOfErrorsOnly) {
  auto failed = Result<int>(Error(Errc::kNotFound, "no such file")).with_context("read b").with_context("load a");
  EXPECT_EQ(failed.error().message(), "load a: read b: no such file");
  EXPECT_EQ(failed.error().code(), Errc::kNotFound);
  EXPECT_EQ(*Result<int>(3).with_context("load a"), 3);
  EXPECT_EQ(Result<void>(Error(Errc::kIo, "x")).with_context("y").error().message(), "y: x");
  EXPECT_TRUE(Result<void>().with_context("y").ok());
}

struct Mapped {
  int error_number;
  Errc code;
};
class Errno : public ::testing::TestWithParam<Mapped> {};

TEST_P(Errno, MapsToWhatACallerDecidesOn) {
  EXPECT_EQ(Error::from_errno(GetParam().error_number, "x").code(), GetParam().code);
}

INSTANTIATE_TEST_SUITE_P(Result, Errno,
                         ::testing::Values(Mapped{ENOENT, Errc::kNotFound}, Mapped{ENOTDIR, Errc::kNotFound},
                                           Mapped{EACCES, Errc::kDenied}, Mapped{EPERM, Errc::kDenied},
                                           Mapped{EROFS, Errc::kDenied}, Mapped{ECONNREFUSED, Errc::kUnavailable},
                                           Mapped{ECONNRESET, Errc::kUnavailable}, Mapped{EPIPE, Errc::kUnavailable},
                                           Mapped{ETIMEDOUT, Errc::kTimeout}, Mapped{EEXIST, Errc::kConflict},
                                           Mapped{EBUSY, Errc::kConflict}, Mapped{EINVAL, Errc::kInvalid},
                                           Mapped{ECANCELED, Errc::kCancelled}, Mapped{ENOSPC, Errc::kIo}));

TEST(Errno, SaysWhatWasBeingDone) {
  EXPECT_EQ(Error::from_errno(ENOENT, "read /x").message(), "read /x: No such file or directory");
}

TEST(Errc, EachHasItsOwnName) {
  std::vector<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(Errc::kIo); ++code) names.push_back(to_string(static_cast<Errc>(code)));
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::unique(names.begin(), names.end()), names.end());
  EXPECT_EQ(to_string(Errc::kTooLarge), "too_large");
}

}  // namespace
}  // namespace buildwarden

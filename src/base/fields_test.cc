#include "base/fields.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "base/check.h"
#include "base/quote.h"
#include "base/utf8.h"

namespace r1 {
namespace {

struct Inner {
  int64_t layers = 4;
  std::string kind = "moe";
  template <class V>
  void Fields(V& v) {
    v("layers", layers, "number of blocks");
    v("kind", kind, "dense or moe");
  }
};
struct Outer {
  double learning_rate = 3e-4;
  bool resume = true;
  Inner model;
  template <class V>
  void Fields(V& v) {
    v("learning_rate", learning_rate, "peak learning rate");
    v("resume", resume, "go on from the newest checkpoint");
    v("model", model, "the model");
  }
};

TEST(Fields, CollectAndText) {
  Outer config;
  const FieldList list = CollectFields(config);
  EXPECT_EQ(FieldsText(list), "learning_rate = 0.0003\nresume = true\nmodel.layers = 4\nmodel.kind = moe\n");
  EXPECT_EQ(list[2].help, "number of blocks");
}

TEST(Fields, SetByText) {
  Outer config;
  const FieldList list = CollectFields(config);
  EXPECT_TRUE(SetField(*FindField(list, "learning-rate"), "1e-5").ok());
  EXPECT_TRUE(SetField(*FindField(list, "resume"), "off").ok());
  EXPECT_TRUE(SetField(*FindField(list, "model.layers"), "-12").ok());
  EXPECT_TRUE(SetField(*FindField(list, "model.kind"), "a b=c").ok());
  EXPECT_EQ(config.learning_rate, 1e-5);
  EXPECT_FALSE(config.resume);
  EXPECT_EQ(config.model.layers, -12);
  EXPECT_EQ(config.model.kind, "a b=c");
  EXPECT_EQ(FindField(list, "model"), nullptr);
  EXPECT_EQ(FindField(list, ""), nullptr);
}

TEST(Fields, EveryDoubleReadsBack) {
  double value = 0;
  const Field field{"x", &value, ""};
  for (const double x :
       {0.1, 1.0 / 3, 5e-324, 1.7976931348623157e308, -0.0, 1e22, 123456789.123456789, 1e15, 100000.0}) {
    value = x;
    const std::string text = FieldText(field);
    value = 77;
    ASSERT_TRUE(SetField(field, text).ok()) << text;
    EXPECT_EQ(value, x) << text;
  }
}

TEST(Fields, WrongTypeNamesFieldTextAndType) {
  Outer config;
  const FieldList list = CollectFields(config);
  const auto error = [&](const char* name, const char* text) {
    const Status status = SetField(*FindField(list, name), text);
    return status.ok() ? std::string("accepted") : status.error().message;
  };
  EXPECT_EQ(error("model.layers", "four"), "model.layers: 'four' is not a whole number");
  EXPECT_EQ(error("model.layers", "4.0"), "model.layers: '4.0' is not a whole number");
  EXPECT_EQ(error("model.layers", ""), "model.layers: '' is not a whole number");
  EXPECT_EQ(error("model.layers", " 4"), "model.layers: ' 4' is not a whole number");
  EXPECT_EQ(error("model.layers", "99999999999999999999"),
            "model.layers: '99999999999999999999' is not a 64-bit whole number");
  EXPECT_EQ(error("learning_rate", "nan"), "learning_rate: 'nan' is not a finite number");
  EXPECT_EQ(error("learning_rate", "inf"), "learning_rate: 'inf' is not a finite number");
  EXPECT_EQ(error("learning_rate", "1e999"), "learning_rate: '1e999' is not a finite number");
  EXPECT_EQ(error("learning_rate", "0.1x"), "learning_rate: '0.1x' is not a finite number");
  EXPECT_EQ(error("resume", "maybe"), "resume: 'maybe' is not true or false");
  EXPECT_EQ(config.learning_rate, 3e-4) << "a refused text must not change the field";
}

TEST(Fields, NearestName) {
  const std::vector<std::string> names{"learning_rate", "model.layers", "epsilon", "beta", "rl.num_generations"};
  EXPECT_EQ(NearestName("lerning_rate", names), "learning_rate");
  EXPECT_EQ(NearestName("learning-rate", names), "learning_rate");
  EXPECT_EQ(NearestName("learnign_rate", names), "learning_rate");
  EXPECT_EQ(NearestName("layers", names), "model.layers");
  EXPECT_EQ(NearestName("num_generations", names), "rl.num_generations");
  EXPECT_EQ(NearestName("bata", names), "beta");
  EXPECT_EQ(NearestName("zzzz", names), "");
  EXPECT_EQ(NearestName("completely_other", names), "");
  EXPECT_EQ(NearestName("x", {}), "");
  EXPECT_EQ(NearestName(std::string(100000, 'a'), names), "");
}

TEST(Fields, UnknownFieldMessage) {
  Outer config;
  const Error error = UnknownField("lerning_rate", CollectFields(config), "run.toml");
  EXPECT_EQ(error.code, ErrorCode::kUsage);
  EXPECT_EQ(error.message, "unknown key 'lerning_rate' in run.toml; did you mean 'learning_rate'?");
  EXPECT_EQ(UnknownField("qqqq", CollectFields(config), "run.toml").message, "unknown key 'qqqq' in run.toml");
}

TEST(Quote, EscapesWhatCouldForgeATerminal) {
  EXPECT_EQ(Quote("plain"), "'plain'");
  EXPECT_EQ(Quote("a\nb\tc"), "'a\\nb\\tc'");
  EXPECT_EQ(Quote(std::string_view("\x1b[2J\0\x7f", 6)), "'\\x1b[2J\\x00\\x7f'");
  EXPECT_EQ(Quote("it's \\"), "'it\\'s \\\\'");
  EXPECT_EQ(Quote("对 ü"), "'对 ü'");
  EXPECT_EQ(Quote("\xc2\x9b"
                  "31m"),
            "'\\xc2\\x9b31m'")
      << "a C1 control";
  EXPECT_EQ(Quote("\xff\xfe"), "'\\xff\\xfe'");
  EXPECT_EQ(Quote("abcdef", 3), "'abc...'");
  EXPECT_LT(Quote(std::string(1000000, '\n')).size(), 140u);
}

TEST(Utf8, ValidityAtTheEdges) {
  const auto length = [](std::string_view s) { return Utf8Length(s); };
  EXPECT_EQ(length("a"), 1);
  EXPECT_EQ(length("\xc2\x80"), 2);
  EXPECT_EQ(length("\xe0\xa0\x80"), 3);
  EXPECT_EQ(length("\xef\xbf\xbf"), 3);
  EXPECT_EQ(length("\xf0\x90\x80\x80"), 4);
  EXPECT_EQ(length("\xf4\x8f\xbf\xbf"), 4);
  for (const std::string_view bad :
       {"", "\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc2", "\xe2\x82", "\xf0\x9f\x98"}) {
    EXPECT_EQ(length(bad), 0) << Quote(bad);
  }
  EXPECT_EQ(FirstInvalidUtf8("a对\xff"), 4u);
  EXPECT_EQ(FirstInvalidUtf8("a对"), 4u);
}

TEST(Check, HandlerAndExit) {
  const CheckHandler previous = SetCheckHandler([](const char*, int line, const std::string& message) {
    throw std::runtime_error(message + (line > 0 ? "!" : ""));
  });
  try {
    R1_CHECK(1 + 1 == 3, "arithmetic");
    ADD_FAILURE() << "the handler was not called";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "arithmetic!");
  }
  SetCheckHandler(previous);
  EXPECT_EXIT(R1_CHECK(false, "broken"), testing::ExitedWithCode(70), "internal error at .*fields_test.cc.*broken");
}

}  // namespace
}  // namespace r1

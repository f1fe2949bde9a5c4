// What to caption: the arguments of the command line as a sequence of pictures, one after the other, so that a million
// files need no more memory than the names of one folder.
#pragma once
#include <functional>
#include <string>
#include <vector>

namespace capstan::cli {

struct Input {
  std::string name;   // the path, or "-" for a picture from standard input
  std::string bytes;  // of a picture from standard input: the file itself
  std::string error;  // not empty: there is nothing to caption here, and why
};

enum class Stdin { kDetect, kList, kPicture };

// Where inputs go.
struct InputSink {
  std::function<bool(Input)> take;  // false: no more are wanted
  std::function<bool()> wanted;     // the same, asked now and then while standard input has nothing
};

// Hands `sink` the pictures of each argument, in the order of the arguments:
// - a file: itself, whatever its extension;
// - a folder: the files below it that have the extension of a picture, sorted by name; without those that begin with a
//   dot, and without following links to folders;
// - a pattern with * ? [..] or **/ that is no file itself: what it matches, sorted, each as above;
// - "-": standard input, which is one picture (told by its first bytes, or by `kind`) or a list of files and folders,
//   one a line. A list is read as it comes, until its end or until nothing more is wanted.
// What does not exist is handed over too: it is found out when it is opened. A folder that cannot be read or has no
// picture and a pattern that matches nothing are errors of their own.
void list_inputs(const std::vector<std::string>& arguments, Stdin kind, const InputSink& sink);

}  // namespace capstan::cli
